-- Who may do what (the roles themselves are made by roles.sql), and the ends of logs for those who look
-- from another host.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Somebody looks at the log of an app: its manager keeps the end of it here until then.
CREATE TABLE log_wishes (
    app_id  text NOT NULL PRIMARY KEY,
    until   timestamptz(3) NOT NULL
);

-- The end of the log of a run, as it is in the file; of runs that failed, and of those that somebody
-- looks at from another host.
CREATE TABLE log_tails (
    runtime  text NOT NULL PRIMARY KEY,
    app_id   text NOT NULL,
    manager  text NOT NULL,
    bytes    bytea NOT NULL,
    -- To the microsecond: the latest one is asked for.
    written  timestamptz NOT NULL
);
CREATE INDEX log_tails_app ON log_tails (app_id, written);
CREATE INDEX log_tails_written ON log_tails (written);

-- A login that may write into the ledger (an owner, a manager that passes on what a broker brought)
-- is believed who issued a command. Every other login speaks for itself.
CREATE FUNCTION dcm_is_trusted() RETURNS boolean LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
    RETURN has_table_privilege(session_user, 'commands', 'INSERT');
END
$$;

CREATE FUNCTION dcm_commands_issuer() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT dcm_is_trusted() THEN
        NEW.cmd_by := session_user;
        NEW.cmd_time := clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER commands_issuer BEFORE INSERT ON commands FOR EACH ROW EXECUTE FUNCTION dcm_commands_issuer();

-- A login that was granted the columns of a command may issue one, and not say what became of it.
CREATE FUNCTION dcm_apps_verdict() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT dcm_is_trusted() THEN
        RAISE EXCEPTION 'permission denied for verdicts of table apps: a command is issued with cmd_flag = 0'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER apps_verdict BEFORE UPDATE ON apps FOR EACH ROW
WHEN (NEW.cmd_flag IS DISTINCT FROM 0 AND (NEW.cmd_name, NEW.cmd_flag, NEW.cmd_by, NEW.cmd_time, NEW.cmd_exec)
    IS DISTINCT FROM (OLD.cmd_name, OLD.cmd_flag, OLD.cmd_by, OLD.cmd_time, OLD.cmd_exec))
EXECUTE FUNCTION dcm_apps_verdict();

CREATE FUNCTION dcm_alerts_acked() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT dcm_is_trusted() THEN
        NEW.acked_by := session_user;
        NEW.acked := clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER alerts_acked BEFORE UPDATE OF acked, acked_by ON alerts FOR EACH ROW
WHEN (NEW.acked_by IS NOT NULL) EXECUTE FUNCTION dcm_alerts_acked();

-- The only way by which operators write commands: a JSON array of objects with app (key or path), name (1 to
-- 5), args, issued_by, source, issued_at, expires, batch and note. Gives the ids in the same order; what was entered with
-- the same batch before is not entered again.
CREATE FUNCTION dcm_submit(commands jsonb) RETURNS SETOF bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    item record;
    number bigint;
BEGIN
    PERFORM dcm_lock();
    IF jsonb_array_length(commands) > 100000 THEN
        RAISE EXCEPTION 'at most 100000 commands at once' USING ERRCODE = 'check_violation';
    END IF;
    FOR item IN SELECT given.* FROM jsonb_to_recordset(dcm_submit.commands) AS given (app text, name bigint, args text,
        issued_by text, source text, issued_at timestamptz, expires timestamptz, batch text, note text)
    LOOP
        IF octet_length(item.args) > 65536 OR octet_length(item.note) > 4096 OR octet_length(item.batch) > 256 THEN
            RAISE EXCEPTION 'args have at most 64 KiB, a note 4 KiB, the name of a batch 256 bytes'
                USING ERRCODE = 'check_violation';
        END IF;
        number := NULL;
        IF item.batch IS NOT NULL THEN
            SELECT known.id INTO number FROM commands AS known
            WHERE known.batch = item.batch AND known.app_id = item.app AND known.cmd_name = item.name
            LIMIT 1;
        END IF;
        IF number IS NULL THEN
            INSERT INTO commands AS entered
                (app_id, cmd_name, cmd_by, cmd_source, cmd_time, cmd_args, expires, batch, note)
            VALUES (item.app, item.name, coalesce(item.issued_by, session_user), coalesce(item.source, 'apps'),
                coalesce(item.issued_at, clock_timestamp()), item.args, item.expires, item.batch, item.note)
            RETURNING entered.id INTO number;
        END IF;
        RETURN NEXT number;
    END LOOP;
END
$$;

-- The same by hand: SELECT dcm_submit('croatia/fina/companies', 'RESTART', 'it hangs').
CREATE FUNCTION dcm_submit(app text, command text, note text DEFAULT NULL, args text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    names CONSTANT text[] := ARRAY['START', 'STOP', 'RESTART', 'ENABLE', 'DISABLE'];
BEGIN
    IF array_position(names, upper(command)) IS NULL THEN
        RAISE EXCEPTION 'no such command: %; expected one of %', command, array_to_string(names, ', ')
            USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (SELECT FROM apps AS known WHERE known.app = dcm_submit.app
            OR known.app_group || '/' || known.app_parent || '/' || known.app_name = dcm_submit.app) THEN
        RAISE EXCEPTION 'no such app: %', app USING ERRCODE = 'check_violation';
    END IF;
    RETURN dcm_submit(jsonb_build_array(jsonb_build_object('app', app, 'name', array_position(names, upper(command)),
        'args', args, 'note', note)));
END
$$;

-- Asks for the end of the log of an app for a while.
CREATE FUNCTION dcm_want_log(app text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO log_wishes (app_id, until)
    SELECT known.app, clock_timestamp() + interval '15 s' FROM apps AS known WHERE known.app = dcm_want_log.app
    ON CONFLICT (app_id) DO UPDATE SET until = excluded.until;
END
$$;

-- Lets a manager give its apps away, or have some again; it does so itself with its next renewal. False
-- when there is no such manager.
CREATE FUNCTION dcm_drain(manager text, draining boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM dcm_lock();
    UPDATE managers AS known SET draining = dcm_drain.draining
    WHERE known.name = dcm_drain.manager AND dcm_drain.draining IS NOT NULL;
    RETURN FOUND;
END
$$;

-- What the triggers write is not for those who set them off: a login may be granted a few columns of
-- `apps` and no more. Nobody else may attach these functions to tables of their own.
ALTER FUNCTION dcm_apps_write() SECURITY DEFINER;
ALTER FUNCTION dcm_apps_inserted() SECURITY DEFINER;
ALTER FUNCTION dcm_apps_deleted() SECURITY DEFINER;
ALTER FUNCTION dcm_apps_command() SECURITY DEFINER;
ALTER FUNCTION dcm_commands_path() SECURITY DEFINER;
ALTER FUNCTION dcm_commands_issued() SECURITY DEFINER;
ALTER FUNCTION dcm_commands_verdict() SECURITY DEFINER;
REVOKE EXECUTE ON FUNCTION dcm_apps_write(), dcm_apps_inserted(), dcm_apps_deleted(), dcm_apps_command(),
    dcm_commands_path(), dcm_commands_issued(), dcm_commands_verdict(), dcm_submit(jsonb),
    dcm_submit(text, text, text, text), dcm_want_log(text), dcm_drain(text, boolean) FROM PUBLIC;

-- Grants the roles of roles.sql what they need, where they are there. After each migration.
CREATE FUNCTION dcm_grant_roles() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    -- What an app is, is for its owner alone: hosts run what is written there.
    defining CONSTANT text[] := ARRAY['id', 'app_group', 'app_parent', 'app_name', 'command', 'cwd', 'env',
        'pass_database', 'interval', 'retry_interval', 'cron_expression', 'time_zone', 'jitter', 'catch_up',
        'catch_up_limit', 'max_failures', 'stop_grace', 'max_runtime', 'log_limit', 'log_keep', 'pool', 'failover',
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
REVOKE EXECUTE ON FUNCTION dcm_grant_roles() FROM PUBLIC;

UPDATE dcm_schema SET version = 3;
