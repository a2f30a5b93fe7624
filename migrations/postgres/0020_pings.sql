-- What is called after the runs of an app.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps ADD COLUMN ping_url text CHECK (length(ping_url) <= 2000);

-- As before, and `ping_url` is for the owner alone.
DO $$
DECLARE
    old CONSTANT text := pg_get_functiondef('dcm_grant_roles()'::regprocedure);
    new CONSTANT text := replace(old, $defining$'description'$defining$, $defining$'description', 'ping_url'$defining$);
BEGIN
    ASSERT new <> old, 'dcm_grant_roles() has no list of defining columns';
    EXECUTE new;
END
$$;

UPDATE dcm_schema SET version = 20;
