-- A command is entered under the name that its own statement gives, never under that of the command before.

-- Statements that set cmd_by, as the row and its revision before: the name of the last command stands in
-- the row as well, so that the value alone does not say whether a statement gave one.
CREATE TABLE command_issuers (
    id        INTEGER PRIMARY KEY,
    revision  INTEGER NOT NULL
) STRICT;

-- Triggers of a column fire for every statement that sets it, to whatever value.
CREATE TRIGGER apps_issuer BEFORE UPDATE OF cmd_by ON apps
WHEN NEW.cmd_flag = 0 AND NEW.cmd_name IS NOT NULL AND NEW.cmd_id IS OLD.cmd_id
BEGIN
    INSERT INTO command_issuers (id, revision) VALUES (OLD.id, OLD.revision)
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
END;

DROP TRIGGER apps_command_update;
CREATE TRIGGER apps_command_update AFTER UPDATE OF cmd_name, cmd_flag ON apps
WHEN NEW.cmd_flag = 0 AND NEW.cmd_name IS NOT NULL AND NEW.cmd_id IS OLD.cmd_id
BEGIN
    INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_time, cmd_args)
    VALUES (
        coalesce(NEW.app, NEW.app_group || '/' || NEW.app_parent || '/' || NEW.app_name),
        NEW.cmd_name,
        CASE WHEN EXISTS (SELECT 1 FROM command_issuers WHERE id = OLD.id AND revision = OLD.revision)
            THEN coalesce(NEW.cmd_by, 'unknown') ELSE 'unknown' END,
        coalesce(CASE WHEN NEW.cmd_time IS NOT OLD.cmd_time THEN strftime('%Y-%m-%dT%H:%M:%fZ', NEW.cmd_time) END,
                 strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        NEW.cmd_args);
END;
