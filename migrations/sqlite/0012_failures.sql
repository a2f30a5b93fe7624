-- What follows repeated failures is the app's to say, and its row knows how the run before went.
ALTER TABLE apps ADD COLUMN on_failures TEXT NOT NULL DEFAULT 'continue';
ALTER TABLE apps ADD COLUMN last_outcome TEXT;
ALTER TABLE apps ADD COLUMN last_exit_code INTEGER;
ALTER TABLE apps ADD COLUMN last_end TEXT;

UPDATE apps SET (last_outcome, last_exit_code, last_end) = (
    SELECT outcome, exit_code, end_time FROM runtime
    WHERE app_id = apps.app AND end_time IS NOT NULL ORDER BY start_time DESC, runtime DESC LIMIT 1);

-- A STOP of an app of which nothing ran is executed, and its reason says so. To drop a CHECK, the text of the table is
-- edited in place (https://sqlite.org/lang_altertable.html, section 8): no row and no trigger changes.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK ((cmd_flag = 2) = (reason IS NOT NULL))',
    'CHECK (cmd_flag = 1 OR (cmd_flag = 2) = (reason IS NOT NULL))')
WHERE type = 'table' AND name = 'commands';
PRAGMA writable_schema = RESET;
