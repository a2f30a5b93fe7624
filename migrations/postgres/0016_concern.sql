-- What the manager concludes of an app beyond its status, and when the counters of its run last moved.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps
    -- When they moved, whichever program wrote them; null since a run began until they do.
    ADD COLUMN progress_time  timestamptz(3),
    -- The usual pause between two moves in this run, in seconds; null until there were two that lie a second apart.
    ADD COLUMN progress_pause double precision,
    -- stalled: it runs, and its counters stand still; late: it is due, and waits for room; flapping: its runs end badly
    -- again and again. Null: nothing.
    ADD COLUMN concern        text,
    ADD COLUMN concern_since  timestamptz(3);

-- The latest pause counts for a fifth of the usual one; one of less than a second for less, since columns that are
-- written one after the other are one move.
CREATE FUNCTION dcm_apps_progress() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    silence double precision;
BEGIN
    IF NEW.runtime IS DISTINCT FROM OLD.runtime THEN
        NEW.progress_time := NULL;
        NEW.progress_pause := NULL;
        RETURN NEW;
    END IF;
    -- Not a difference of times: one of them may be infinite, by hand.
    silence := greatest(0.0, extract(epoch FROM clock_timestamp())::double precision
        - extract(epoch FROM OLD.progress_time)::double precision);
    IF OLD.progress_time IS NULL THEN
        NEW.progress_pause := NULL;
    ELSIF OLD.progress_pause IS NULL THEN
        NEW.progress_pause := CASE WHEN silence >= 1.0 THEN silence END;
    ELSE
        NEW.progress_pause := OLD.progress_pause + 0.2 * least(1.0, silence) * (silence - OLD.progress_pause);
    END IF;
    NEW.progress_time := clock_timestamp();
    RETURN NEW;
END
$$;
-- After `apps_write`, which works out the percentage.
CREATE TRIGGER apps_write_progress BEFORE UPDATE ON apps FOR EACH ROW
WHEN (NEW.runtime IS DISTINCT FROM OLD.runtime
    OR NEW.task_size IS DISTINCT FROM OLD.task_size OR NEW.progress IS DISTINCT FROM OLD.progress
    OR NEW.solved IS DISTINCT FROM OLD.solved OR NEW.failed IS DISTINCT FROM OLD.failed)
EXECUTE FUNCTION dcm_apps_progress();

UPDATE dcm_schema SET version = 16;
