-- What an app did in the last ten minutes, in slots of 20 seconds, so that every console shows the same rates.

-- The number of the newest slot, from the epoch on.
ALTER TABLE apps ADD COLUMN sampled INTEGER;
-- Items of each of 30 slots, 8 digits each; the newest is last. Null until something is counted.
ALTER TABLE apps ADD COLUMN solved_samples TEXT;
ALTER TABLE apps ADD COLUMN failed_samples TEXT;

-- Percentage and ETA follow from the counters where the app does not give them, as before, and the samples always: in one
-- statement, since each of them is one more revision of the row.
-- A run that begins with 0 takes nothing away from the samples. A text that is none begins again with zeros, and so does
-- a ring that is older than ten minutes, or newer than the clock.
DROP TRIGGER apps_estimate;
CREATE TRIGGER apps_estimate AFTER UPDATE OF task_size, solved, failed ON apps
WHEN NEW.solved IS NOT OLD.solved OR NEW.failed IS NOT OLD.failed OR NEW.task_size IS NOT OLD.task_size
BEGIN
    UPDATE apps SET
        progress = CASE WHEN NEW.task_size > 0 AND NEW.progress IS OLD.progress
            THEN CAST(min(100.0, max(0.0, gain.done * 100.0 / NEW.task_size)) AS INTEGER) ELSE progress END,
        eta = CASE WHEN NEW.task_size > 0 AND NEW.eta IS OLD.eta AND NEW.last_run IS NOT NULL AND NEW.run_status = 1 AND gain.done > 0
            THEN strftime('%Y-%m-%dT%H:%M:%fZ', julianday('now') + (julianday('now') - julianday(NEW.last_run))
                * max(0.0, NEW.task_size - gain.done) / gain.done) ELSE eta END,
        sampled = CASE WHEN gain.solved + gain.failed > 0 THEN gain.newest ELSE sampled END,
        solved_samples = CASE
            WHEN gain.solved + gain.failed = 0 OR gain.solved = 0 AND solved_samples IS NULL THEN solved_samples
            WHEN length(solved_samples) = 240 AND solved_samples NOT GLOB '*[^0-9]*' AND gain.passed < 30 THEN
                substr(solved_samples || gain.zeros, 1 + 8 * gain.passed, 232) || printf('%08d', min(99999999, gain.solved
                    + CASE WHEN gain.passed = 0 THEN CAST(substr(solved_samples, 233) AS INTEGER) ELSE 0 END))
            ELSE substr(gain.zeros, 9) || printf('%08d', min(99999999, gain.solved)) END,
        failed_samples = CASE
            WHEN gain.solved + gain.failed = 0 OR gain.failed = 0 AND failed_samples IS NULL THEN failed_samples
            WHEN length(failed_samples) = 240 AND failed_samples NOT GLOB '*[^0-9]*' AND gain.passed < 30 THEN
                substr(failed_samples || gain.zeros, 1 + 8 * gain.passed, 232) || printf('%08d', min(99999999, gain.failed
                    + CASE WHEN gain.passed = 0 THEN CAST(substr(failed_samples, 233) AS INTEGER) ELSE 0 END))
            ELSE substr(gain.zeros, 9) || printf('%08d', min(99999999, gain.failed)) END
    FROM (SELECT ifnull(NEW.solved, 0) + 0.0 + ifnull(NEW.failed, 0) AS done, counted.solved, counted.failed,
            unixepoch() / 20 AS newest, printf('%0240d', 0) AS zeros,
            CASE WHEN OLD.sampled BETWEEN unixepoch() / 20 - 29 AND unixepoch() / 20
                THEN unixepoch() / 20 - OLD.sampled ELSE 30 END AS passed
        FROM (SELECT CASE WHEN of_run THEN max(0, ifnull(NEW.solved, 0) - ifnull(OLD.solved, 0)) ELSE 0 END AS solved,
                CASE WHEN of_run THEN max(0, ifnull(NEW.failed, 0) - ifnull(OLD.failed, 0)) ELSE 0 END AS failed
            FROM (SELECT NEW.run_status = 1 AND NEW.runtime IS OLD.runtime AS of_run)) AS counted) AS gain
    WHERE id = NEW.id AND (NEW.task_size > 0 OR gain.solved + gain.failed > 0);
END;
