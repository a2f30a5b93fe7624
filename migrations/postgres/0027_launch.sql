-- How the process of an app is started and ended beyond its command, and what people know about it.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps
    -- Files of variables that are read at each start, before env: a JSON array of paths. Null: none.
    ADD COLUMN env_files      text,
    -- The user that it runs as, by name or number. Null: that of the manager.
    ADD COLUMN run_user       text,
    -- -20 to 19. Null: that of the manager, as for the ones below.
    ADD COLUMN nice           bigint,
    -- Octal digits.
    ADD COLUMN umask          text,
    -- Limits of each process, and of all processes of its user.
    ADD COLUMN max_open_files bigint,
    ADD COLUMN max_processes  bigint,
    -- What asks it to end: TERM, INT, HUP, QUIT, USR1, USR2 or KILL.
    ADD COLUMN stop_signal    text NOT NULL DEFAULT 'TERM',
    -- Who looks after it.
    ADD COLUMN owner          text CHECK (length(owner) <= 200),
    -- Words by which it is found: a JSON array. Null: none.
    ADD COLUMN tags           text;

-- As before, and these are for the owner alone: with run_user an app may become root.
DO $$
DECLARE
    old CONSTANT text := pg_get_functiondef('dcm_grant_roles()'::regprocedure);
    new CONSTANT text := replace(old, $defining$'description'$defining$, $defining$'description', 'env_files', 'run_user',
        'nice', 'umask', 'max_open_files', 'max_processes', 'stop_signal', 'owner', 'tags'$defining$);
BEGIN
    ASSERT new <> old, 'dcm_grant_roles() has no list of defining columns';
    EXECUTE new;
END
$$;

UPDATE dcm_schema SET version = 27;
