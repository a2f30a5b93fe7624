-- What an app did in the last ten minutes, in slots of 20 seconds, so that every console shows the same rates.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps
    -- The number of the newest slot, from the epoch on.
    ADD COLUMN sampled        bigint,
    -- Items of each of 30 slots, 8 digits each; the newest is last. Null until something is counted.
    ADD COLUMN solved_samples text,
    ADD COLUMN failed_samples text;

-- A ring that this number of slots have passed, and what is counted now. A text that is none begins again with zeros.
CREATE FUNCTION dcm_sampled(ring text, passed int, gain numeric) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF ring IS NULL AND gain = 0 THEN
        RETURN NULL;
    ELSIF passed < 30 AND length(ring) = 240 AND ring !~ '[^0-9]' THEN
        RETURN substr(ring, 1 + 8 * passed, 232) || repeat('0', 8 * passed - 8)
            || lpad(least(99999999, gain + CASE WHEN passed = 0 THEN right(ring, 8)::int ELSE 0 END)::text, 8, '0');
    END IF;
    RETURN lpad(least(99999999, gain)::text, 240, '0');
END
$$;

-- A run that begins with 0 takes nothing away. A ring that is older than ten minutes, or newer than the clock, begins
-- again with zeros.
CREATE FUNCTION dcm_apps_samples() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    slot CONSTANT bigint := floor(extract(epoch FROM clock_timestamp()) / 20);
    passed CONSTANT int := CASE WHEN OLD.sampled BETWEEN slot - 29 AND slot THEN slot - OLD.sampled ELSE 30 END;
BEGIN
    NEW.sampled := slot;
    NEW.solved_samples := dcm_sampled(OLD.solved_samples, passed,
        greatest(0, coalesce(NEW.solved, 0)::numeric - coalesce(OLD.solved, 0)));
    NEW.failed_samples := dcm_sampled(OLD.failed_samples, passed,
        greatest(0, coalesce(NEW.failed, 0)::numeric - coalesce(OLD.failed, 0)));
    RETURN NEW;
END
$$;
CREATE TRIGGER apps_write_samples BEFORE UPDATE ON apps FOR EACH ROW
WHEN (NEW.run_status = 1 AND NEW.runtime IS NOT DISTINCT FROM OLD.runtime
    AND (coalesce(NEW.solved, 0) > coalesce(OLD.solved, 0) OR coalesce(NEW.failed, 0) > coalesce(OLD.failed, 0)))
EXECUTE FUNCTION dcm_apps_samples();

UPDATE dcm_schema SET version = 13;
