-- How far a calendar is accounted for stands in the row, so that whoever takes an app up loses none of its times.

-- The first time of the calendar that became neither a run nor a part of a skip, before jitter; written by
-- the manager.
ALTER TABLE apps ADD COLUMN slot TEXT;

-- It is a time of the calendar that was in force.
CREATE TRIGGER apps_calendar AFTER UPDATE OF cron_expression, time_zone ON apps
WHEN NEW.slot IS NOT NULL AND (NEW.cron_expression IS NOT OLD.cron_expression OR NEW.time_zone IS NOT OLD.time_zone)
BEGIN
    UPDATE apps SET slot = NULL WHERE id = NEW.id;
END;
