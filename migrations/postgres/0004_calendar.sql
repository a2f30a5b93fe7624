-- How far a calendar is accounted for stands in the row, so that whoever takes an app up loses none of its times.

ALTER TABLE apps
    -- The first time of the calendar that became neither a run nor a part of a skip, before jitter; written
    -- by the manager.
    ADD COLUMN slot timestamptz(3);

-- It is a time of the calendar that was in force.
CREATE FUNCTION dcm_apps_calendar() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.slot := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER apps_calendar BEFORE UPDATE OF cron_expression, time_zone ON apps FOR EACH ROW
WHEN (NEW.cron_expression IS DISTINCT FROM OLD.cron_expression OR NEW.time_zone IS DISTINCT FROM OLD.time_zone)
EXECUTE FUNCTION dcm_apps_calendar();

UPDATE dcm_schema SET version = 4;
