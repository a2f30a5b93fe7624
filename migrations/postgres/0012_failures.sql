-- What follows repeated failures is the app's to say, and its row knows how the run before went.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps
    ADD COLUMN on_failures    text NOT NULL DEFAULT 'continue',
    ADD COLUMN last_outcome   text,
    ADD COLUMN last_exit_code bigint,
    ADD COLUMN last_end       timestamptz;

UPDATE apps SET last_outcome = run.outcome, last_exit_code = run.exit_code, last_end = run.end_time
FROM apps AS named CROSS JOIN LATERAL (
    SELECT outcome, exit_code, end_time FROM runtime
    WHERE app_id = named.app AND end_time IS NOT NULL ORDER BY start_time DESC, runtime DESC LIMIT 1) AS run
WHERE apps.id = named.id;

-- A STOP of an app of which nothing ran is executed, and its reason says so.
DO $$
DECLARE
    old name;
BEGIN
    SELECT conname INTO STRICT old FROM pg_constraint
    WHERE conrelid = 'commands'::regclass AND contype = 'c' AND pg_get_constraintdef(oid) LIKE '%reason IS NOT NULL%';
    EXECUTE format('ALTER TABLE commands DROP CONSTRAINT %I', old);
END
$$;
ALTER TABLE commands
    ADD CONSTRAINT commands_reason_check CHECK (cmd_flag = 1 OR (cmd_flag = 2) = (reason IS NOT NULL));

-- As before, and `on_failures` is for the owner alone.
CREATE OR REPLACE FUNCTION dcm_grant_roles() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    -- What an app is, is for its owner alone: hosts run what is written there.
    defining CONSTANT text[] := ARRAY['id', 'app_group', 'app_parent', 'app_name', 'command', 'cwd', 'env',
        'pass_database', 'interval', 'retry_interval', 'cron_expression', 'time_zone', 'jitter', 'catch_up',
        'catch_up_limit', 'max_failures', 'on_failures', 'stop_grace', 'max_runtime', 'log_limit', 'log_keep', 'pool', 'failover',
        'protected'];
    place CONSTANT text := quote_ident(current_schema());
    written text;
    shown text;
BEGIN
    IF to_regrole('dcm_owner') IS NULL OR NOT EXISTS (SELECT FROM pg_namespace
            WHERE nspname = current_schema() AND nspowner = to_regrole('dcm_owner')) THEN
        RETURN;
    END IF;
    SELECT string_agg(quote_ident(attname), ', ') FILTER (WHERE attname <> ALL (defining)),
        string_agg(quote_ident(attname), ', ') FILTER (WHERE attname <> 'env')
    INTO written, shown FROM pg_attribute WHERE attrelid = 'apps'::regclass AND attnum > 0 AND NOT attisdropped;
    EXECUTE 'GRANT USAGE ON SCHEMA ' || place || ' TO dcm_manager, dcm_operator, dcm_readonly';
    EXECUTE 'GRANT SELECT ON ALL TABLES IN SCHEMA ' || place || ' TO dcm_manager, dcm_operator, dcm_readonly';
    REVOKE SELECT ON apps FROM dcm_readonly;
    EXECUTE 'GRANT SELECT (' || shown || ') ON apps TO dcm_readonly';
    EXECUTE 'GRANT UPDATE (' || written || ') ON apps TO dcm_manager';
    GRANT INSERT, UPDATE ON runtime, alerts TO dcm_manager;
    GRANT INSERT ON skips, commands TO dcm_manager;
    GRANT UPDATE (app_id, cmd_flag, cmd_exec, reason) ON commands TO dcm_manager;
    GRANT INSERT, UPDATE, DELETE ON managers, log_wishes, log_tails TO dcm_manager;
    GRANT UPDATE (cmd_name, cmd_flag, cmd_by, cmd_time, cmd_args) ON apps TO dcm_operator;
    GRANT UPDATE (acked, acked_by, muted_until) ON alerts TO dcm_operator;
    GRANT EXECUTE ON FUNCTION dcm_submit(jsonb), dcm_submit(text, text, text, text) TO dcm_manager, dcm_operator;
    GRANT EXECUTE ON FUNCTION dcm_drain(text, boolean) TO dcm_manager, dcm_operator;
    GRANT EXECUTE ON FUNCTION dcm_want_log(text) TO dcm_manager, dcm_operator, dcm_readonly;
END
$$;

UPDATE dcm_schema SET version = 12;
