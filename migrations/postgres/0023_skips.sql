-- A record of times that were left out is extended when a clock that was set back brings the first of them again.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

DO $$
DECLARE
    old CONSTANT text := pg_get_functiondef('dcm_grant_roles()'::regprocedure);
    new CONSTANT text := replace(old, 'GRANT INSERT ON skips, commands TO dcm_manager;',
        'GRANT INSERT ON skips, commands TO dcm_manager;
    GRANT UPDATE (last_due, slots, recorded) ON skips TO dcm_manager;');
BEGIN
    ASSERT new <> old, 'dcm_grant_roles() grants nothing on skips';
    EXECUTE new;
END
$$;

UPDATE dcm_schema SET version = 23;
