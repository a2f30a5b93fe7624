-- What the manager concludes of an app beyond its status, and when the counters of its run last moved.

-- When they moved, whichever program wrote them; null since a run began until they do.
ALTER TABLE apps ADD COLUMN progress_time TEXT;
-- The usual pause between two moves in this run, in seconds; null until there were two that lie a second apart.
ALTER TABLE apps ADD COLUMN progress_pause REAL;
-- stalled: it runs, and its counters stand still; late: it is due, and waits for room; flapping: its runs end badly
-- again and again. Null: nothing.
ALTER TABLE apps ADD COLUMN concern TEXT;
ALTER TABLE apps ADD COLUMN concern_since TEXT;

CREATE TRIGGER apps_progress_of_new_run AFTER UPDATE OF runtime ON apps
WHEN NEW.runtime IS NOT OLD.runtime AND NEW.progress_time IS NOT NULL
BEGIN
    UPDATE apps SET progress_time = NULL, progress_pause = NULL WHERE id = NEW.id;
END;

-- A statement may set this off again by what other triggers work out: `now` is the same, and so is what comes of it.
-- The latest pause counts for a fifth of the usual one; one of less than a second for less, since columns that are
-- written one after the other are one move.
CREATE TRIGGER apps_progress AFTER UPDATE OF task_size, progress, solved, failed ON apps
WHEN NEW.runtime IS OLD.runtime AND OLD.progress_time IS NOT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    AND (NEW.task_size IS NOT OLD.task_size OR NEW.progress IS NOT OLD.progress
        OR NEW.solved IS NOT OLD.solved OR NEW.failed IS NOT OLD.failed)
BEGIN
    UPDATE apps SET progress_time = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
        progress_pause = CASE WHEN OLD.progress_pause IS NULL THEN CASE WHEN silence >= 1.0 THEN silence END
            ELSE OLD.progress_pause + 0.2 * min(1.0, silence) * (silence - OLD.progress_pause) END
    FROM (SELECT max(0.0, (julianday('now') - julianday(OLD.progress_time)) * 86400.0) AS silence)
    WHERE id = NEW.id;
END;
