-- What an app is for, in the words of the people who look after it.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps ADD COLUMN description text CHECK (length(description) <= 500);

-- As before, and `description` is for the owner alone.
DO $$
DECLARE
    old CONSTANT text := pg_get_functiondef('dcm_grant_roles()'::regprocedure);
    new CONSTANT text := replace(old, $defining$'protected']$defining$, $defining$'protected', 'description']$defining$);
BEGIN
    ASSERT new <> old, 'dcm_grant_roles() has no list of defining columns';
    EXECUTE new;
END
$$;

UPDATE dcm_schema SET version = 14;
