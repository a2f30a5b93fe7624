-- What a run with exit code 0 is expected to have done; one that did not is suspect.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps
    -- Rules of the app's own. Minutes, items, a share from 0 to 1, seconds.
    ADD COLUMN stall_after      double precision,
    ADD COLUMN min_solved       bigint NOT NULL DEFAULT 0,
    ADD COLUMN max_failed_ratio double precision,
    ADD COLUMN min_duration     double precision,
    -- Whether a run is compared with the good ones before it.
    ADD COLUMN compare_history  boolean NOT NULL DEFAULT true,
    -- continue or retry.
    ADD COLUMN on_suspect       text NOT NULL DEFAULT 'continue',
    -- Suspect runs since the last good one.
    ADD COLUMN suspects         bigint NOT NULL DEFAULT 0,
    -- What the last good runs did: seconds/items of each, oldest first; behind the semicolon the runs since that differ.
    ADD COLUMN baseline         text,
    -- What flag 3 is about: failures, suspect, stalled. Null: failures.
    ADD COLUMN fatal_cause      text;

-- As before, and what is expected of runs is for the owner alone.
DO $$
DECLARE
    old CONSTANT text := pg_get_functiondef('dcm_grant_roles()'::regprocedure);
    new CONSTANT text := replace(old, $defining$'protected', $defining$, $defining$'protected', 'stall_after',
        'min_solved', 'max_failed_ratio', 'min_duration', 'compare_history', 'on_suspect', $defining$);
BEGIN
    ASSERT new <> old, 'dcm_grant_roles() has no list of defining columns';
    EXECUTE new;
END
$$;

UPDATE dcm_schema SET version = 21;
