-- What the processes of an app use, and the most that they may use.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps
    -- In MiB, of all processes of a run together; null: no limit.
    ADD COLUMN max_memory  bigint,
    -- In percent of one core, of all processes of a run together; null: no limit.
    ADD COLUMN max_cpu     bigint,
    -- Resident memory of the processes of the run under way, in bytes. Null: none is, or it is not known.
    ADD COLUMN memory      bigint,
    -- Their share of the CPU since the sample before, in percent of one core.
    ADD COLUMN cpu         double precision,
    -- The largest sample of their memory in the current or last run, in bytes.
    ADD COLUMN memory_peak bigint;

-- The largest sample of its memory, in bytes; null for a run that ended before it was looked at.
ALTER TABLE runtime ADD COLUMN memory_peak bigint;

-- As before, and the limits are for the owner alone.
DO $$
DECLARE
    old CONSTANT text := pg_get_functiondef('dcm_grant_roles()'::regprocedure);
    new CONSTANT text := replace(old, $defining$'description'$defining$,
        $defining$'description', 'max_memory', 'max_cpu'$defining$);
BEGIN
    ASSERT new <> old, 'dcm_grant_roles() has no list of defining columns';
    EXECUTE new;
END
$$;

UPDATE dcm_schema SET version = 18;
