-- A time without an offset is one of the app's time_zone. SQLite knows no zones: such a time stays as it was written
-- until the manager has read it. The others are brought into the usual form here, as before.

DROP TRIGGER apps_next_run_insert;
CREATE TRIGGER apps_next_run_insert AFTER INSERT ON apps
WHEN NEW.next_run GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
    AND (NEW.time_zone IN ('UTC', 'Etc/UTC') OR substr(NEW.next_run, 11) GLOB '*[Zz+-]*')
BEGIN
    UPDATE apps SET next_run = coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', NEW.next_run), NEW.next_run) WHERE id = NEW.id;
END;

-- The manager's own writes count up `sequence`; any other write of next_run is a wish.
DROP TRIGGER apps_next_run_update;
CREATE TRIGGER apps_next_run_update AFTER UPDATE OF next_run ON apps WHEN NEW.sequence = OLD.sequence
BEGIN
    UPDATE apps SET next_run = coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', NEW.next_run), NEW.next_run)
    WHERE id = NEW.id AND NEW.next_run GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
        AND (NEW.time_zone IN ('UTC', 'Etc/UTC') OR substr(NEW.next_run, 11) GLOB '*[Zz+-]*');
    UPDATE apps SET asked_next_run = next_run, next_run_kind = 'asked', pause = NULL WHERE id = NEW.id;
END;

DROP TRIGGER apps_eta_update;
CREATE TRIGGER apps_eta_update AFTER UPDATE OF eta ON apps
WHEN NEW.eta NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'
    AND (NEW.time_zone IN ('UTC', 'Etc/UTC') OR substr(NEW.eta, 11) GLOB '*[Zz+-]*'
        OR NEW.eta NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*')
BEGIN
    UPDATE apps SET eta = CASE WHEN NEW.eta GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
        THEN strftime('%Y-%m-%dT%H:%M:%fZ', NEW.eta) END
    WHERE id = NEW.id;
END;
