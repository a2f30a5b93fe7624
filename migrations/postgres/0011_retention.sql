-- Old rows of history are deleted in small batches, by a function alone: who may call it may delete nothing else.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- One batch of what is older than so many days (of runs also what is more than `most` for one app), of rows after
-- `after`; `next` is where the next batch begins, null when there is none. Nothing that is open is deleted, and no last
-- run of an app. While another session is at it, nothing is done.
CREATE FUNCTION dcm_prune(kind text, days bigint, most bigint, after text, size bigint,
    OUT deleted bigint, OUT next text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    before CONSTANT timestamptz := clock_timestamp() - make_interval(days => greatest(days, 1)::int);
    found text[];
    app text;
    surplus timestamptz;
    looked bigint := 0;
    is_old boolean;
BEGIN
    deleted := 0;
    -- "dcm" and 3, and the fleet.
    IF NOT pg_try_advisory_xact_lock(1684237571::bigint << 32 | 'apps'::regclass::oid::bigint) THEN
        RETURN;
    END IF;
    CASE kind
    WHEN 'old runs' THEN
        SELECT array_agg(runtime) FILTER (WHERE may_go), count(*),
            (array_agg(start_time::text || '|' || runtime ORDER BY start_time DESC, runtime DESC))[1]
        INTO found, looked, next
        FROM (SELECT runtime, start_time, end_time < before AND NOT EXISTS (SELECT FROM apps
                  WHERE apps.app = run.app_id AND apps.runtime = run.runtime) AS may_go
              FROM runtime AS run
              WHERE start_time < before AND (after = ''
                  OR start_time >= split_part(after, '|', 1)::timestamptz
                  AND (start_time, runtime) > (split_part(after, '|', 1)::timestamptz, split_part(after, '|', 2)))
              ORDER BY start_time, runtime LIMIT size) AS old;
        IF looked < size THEN
            next := NULL;
        END IF;
    WHEN 'surplus runs' THEN
        SELECT min(app_id) INTO app FROM runtime WHERE app_id > after;
        IF app IS NULL THEN
            RETURN;
        END IF;
        next := app;
        SELECT start_time INTO surplus FROM runtime WHERE app_id = app ORDER BY start_time DESC LIMIT 1 OFFSET greatest(most, 1);
        IF surplus IS NOT NULL THEN
            SELECT array_agg(runtime) INTO found
            FROM (SELECT runtime FROM runtime AS run WHERE app_id = app AND start_time <= surplus AND end_time IS NOT NULL
                    AND NOT EXISTS (SELECT FROM apps WHERE apps.app = run.app_id AND apps.runtime = run.runtime)
                  ORDER BY start_time LIMIT size) AS old;
            IF found IS NOT NULL THEN
                next := after;
            END IF;
        END IF;
    WHEN 'skips' THEN
        SELECT min(app_id) INTO app FROM skips WHERE app_id > after;
        IF app IS NULL THEN
            RETURN;
        END IF;
        WITH gone AS (DELETE FROM skips WHERE (app_id, first_due, reason) IN (
            SELECT app_id, first_due, reason FROM skips
            WHERE app_id = app AND first_due < before AND last_due < before LIMIT size) RETURNING 1)
        SELECT count(*) INTO deleted FROM gone;
        next := CASE WHEN deleted > 0 THEN after ELSE app END;
        RETURN;
    WHEN 'commands' THEN
        SELECT array_agg(id::text) FILTER (WHERE cmd_flag <> 0 AND cmd_time < before), bool_or(cmd_time < before),
            count(*), max(id)::text
        INTO found, is_old, looked, next
        FROM (SELECT id, cmd_flag, cmd_time FROM commands
              WHERE id > coalesce(nullif(after, ''), '0')::bigint ORDER BY id LIMIT size) AS old;
    WHEN 'alerts' THEN
        SELECT array_agg(id::text) FILTER (WHERE cleared < before), bool_or(raised < before), count(*), max(id)::text
        INTO found, is_old, looked, next
        FROM (SELECT id, raised, cleared FROM alerts
              WHERE id > coalesce(nullif(after, ''), '0')::bigint ORDER BY id LIMIT size) AS old;
    ELSE
        RAISE EXCEPTION 'nothing called % is pruned', kind USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    -- Numbers grow with time: a pass ends where nothing is too old any more.
    IF kind IN ('commands', 'alerts') AND (looked < size OR NOT coalesce(is_old, false)) THEN
        next := NULL;
    END IF;
    IF found IS NULL THEN
        RETURN;
    END IF;
    IF kind = 'commands' THEN
        DELETE FROM commands WHERE id = ANY (found::bigint[]) AND cmd_flag <> 0;
    ELSIF kind = 'alerts' THEN
        DELETE FROM alerts WHERE id = ANY (found::bigint[]) AND cleared IS NOT NULL;
    ELSE
        DELETE FROM runtime WHERE runtime = ANY (found) AND end_time IS NOT NULL;
    END IF;
    GET DIAGNOSTICS deleted = ROW_COUNT;
END
$$;
REVOKE EXECUTE ON FUNCTION dcm_prune(text, bigint, bigint, text, bigint) FROM PUBLIC;

DO $$
BEGIN
    IF to_regrole('dcm_manager') IS NOT NULL AND EXISTS (SELECT FROM pg_namespace
            WHERE nspname = current_schema() AND nspowner = to_regrole('dcm_owner')) THEN
        GRANT EXECUTE ON FUNCTION dcm_prune(text, bigint, bigint, text, bigint) TO dcm_manager;
    END IF;
END
$$;

UPDATE dcm_schema SET version = 11;
