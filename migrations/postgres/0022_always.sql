-- Apps without a schedule that are to run all the time.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps
    -- Whether the app runs without end: it is started again whenever it ends.
    ADD COLUMN always     boolean NOT NULL DEFAULT false,
    -- A run that lived for this many seconds has started.
    ADD COLUMN min_uptime double precision NOT NULL DEFAULT 1;

-- As before, and these are for the owner alone.
DO $$
DECLARE
    old CONSTANT text := pg_get_functiondef('dcm_grant_roles()'::regprocedure);
    new CONSTANT text := replace(old, $defining$'description'$defining$,
        $defining$'description', 'always', 'min_uptime'$defining$);
BEGIN
    ASSERT new <> old, 'dcm_grant_roles() has no list of defining columns';
    EXECUTE new;
END
$$;

UPDATE dcm_schema SET version = 22;
