-- Writers wait for no other writer but of the same row: a transaction that another program leaves open stops the
-- apps whose rows it holds, and no others.
--
-- Until now each writer held one advisory lock to its end, so that revisions became visible in their order. Now a
-- reader keeps the snapshot of its last look (pg_current_snapshot()), and what is new to it are the rows whose last
-- transaction that snapshot does not show.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

DROP TRIGGER app_groups_lock ON app_groups;
DROP TRIGGER app_parents_lock ON app_parents;
DROP TRIGGER apps_lock ON apps;
DROP TRIGGER runtime_lock ON runtime;
DROP TRIGGER commands_lock ON commands;
DROP FUNCTION dcm_lock_writers();

ALTER TABLE apps
    -- The transactions that wrote the row last; that did so last for somebody else than its manager; and that gave
    -- it its manager. They mean something on this server only.
    ADD COLUMN written_in  bigint NOT NULL DEFAULT 0,
    ADD COLUMN touched_in  bigint NOT NULL DEFAULT 0,
    ADD COLUMN owned_in    bigint NOT NULL DEFAULT 0;
ALTER TABLE removed_apps ADD COLUMN written_in bigint NOT NULL DEFAULT 0;
CREATE INDEX apps_written ON apps (written_in);
CREATE INDEX apps_touched ON apps (touched_in);
CREATE INDEX removed_apps_written ON removed_apps (written_in);

CREATE FUNCTION dcm_transaction() RETURNS bigint LANGUAGE sql SET search_path FROM CURRENT
AS 'SELECT pg_current_xact_id()::text::bigint';

-- Every change of a row gets the next revision. What tells readers that it is new is nobody's to write.
CREATE OR REPLACE FUNCTION dcm_apps_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    done double precision;
    instant double precision;
BEGIN
    IF NEW.app IS NULL THEN
        NEW.app := dcm_app_key(NEW.app_group, NEW.app_parent, NEW.app_name);
    END IF;
    IF NEW.eta < '1970-01-01 00:00:00+00' OR NEW.eta >= '10000-01-01 00:00:00+00' THEN
        NEW.eta := NULL;
    END IF;
    -- Percentage and ETA follow from the counters where the app does not give them. The arithmetic is
    -- that of floating point, which large counters cannot overflow.
    IF TG_OP = 'UPDATE' AND NEW.task_size > 0 AND (NEW.solved IS DISTINCT FROM OLD.solved
            OR NEW.failed IS DISTINCT FROM OLD.failed OR NEW.task_size IS DISTINCT FROM OLD.task_size) THEN
        done := coalesce(NEW.solved, 0)::double precision + coalesce(NEW.failed, 0);
        IF NEW.progress IS NOT DISTINCT FROM OLD.progress THEN
            NEW.progress := trunc(least(100.0, greatest(0.0, done * 100.0 / NEW.task_size)));
        END IF;
        IF NEW.eta IS NOT DISTINCT FROM OLD.eta AND NEW.last_run IS NOT NULL AND NEW.run_status = 1 AND done > 0 THEN
            instant := extract(epoch FROM clock_timestamp());
            instant := instant + (instant - extract(epoch FROM NEW.last_run)::double precision)
                * greatest(0.0, NEW.task_size - done) / done;
            -- To the last second of the year 9999.
            NEW.eta := CASE WHEN instant BETWEEN 0 AND 253402300799 THEN to_timestamp(instant) END;
        END IF;
    END IF;
    NEW.revision := nextval('revision_number');
    NEW.written_in := dcm_transaction();
    IF TG_OP = 'UPDATE' THEN
        NEW.epoch := OLD.epoch;
        NEW.owned_since := OLD.owned_since;
        NEW.owned_in := least(OLD.owned_in, NEW.written_in);
        NEW.touched_in := least(OLD.touched_in, NEW.written_in);
    ELSE
        NEW.owned_in := 0;
    END IF;
    IF TG_OP = 'INSERT' OR NEW.manager IS NULL
            OR current_setting('dcm.manager', true) IS DISTINCT FROM NEW.manager THEN
        NEW.touched_in := NEW.written_in;
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION dcm_apps_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.epoch := least(NEW.epoch, 9223372036854775806) + 1;
    NEW.owned_since := NEW.revision;
    NEW.owned_in := NEW.written_in;
    NEW.touched_in := NEW.written_in;
    RETURN NEW;
END
$$;

CREATE FUNCTION dcm_removed_apps_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    NEW.written_in := dcm_transaction();
    RETURN NEW;
END
$$;
CREATE TRIGGER removed_apps_write BEFORE INSERT OR UPDATE ON removed_apps FOR EACH ROW
EXECUTE FUNCTION dcm_removed_apps_write();

-- Restored from a dump, the rows tell of transactions that this server has not seen yet: they would be new at each look.
CREATE FUNCTION dcm_forget_another_server() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE apps SET fault = fault
    WHERE written_in > dcm_transaction() OR touched_in > dcm_transaction() OR owned_in > dcm_transaction();
    UPDATE removed_apps SET revision = revision WHERE written_in > dcm_transaction();
END
$$;

-- A command waits for nobody who holds the row of its app: the ledger has it, and the row shows it with its verdict
-- at the latest.
CREATE OR REPLACE FUNCTION dcm_commands_issued() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM apps WHERE app = NEW.app_id FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE apps SET cmd_id = NEW.id, cmd_name = NEW.cmd_name, cmd_flag = NEW.cmd_flag, cmd_by = NEW.cmd_by,
        cmd_time = NEW.cmd_time, cmd_exec = NEW.cmd_exec,
        -- The ledger has them now: a later command without arguments must not find these.
        cmd_args = NULL
    WHERE app = NEW.app_id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION dcm_commands_verdict() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE apps SET cmd_id = NEW.id, cmd_name = NEW.cmd_name, cmd_flag = NEW.cmd_flag, cmd_by = NEW.cmd_by,
        cmd_time = NEW.cmd_time, cmd_exec = NEW.cmd_exec
    WHERE app = NEW.app_id AND (cmd_id = NEW.id
        -- The row was held when the command was issued, and no later one is known.
        OR coalesce(cmd_id, 0) < NEW.id AND NOT EXISTS (SELECT FROM commands AS later
            WHERE later.app_id = NEW.app_id AND later.id > NEW.id));
    RETURN NULL;
END
$$;

-- The number of a command tells which is the latest: it is the server's to give.
CREATE FUNCTION dcm_numbered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id >= 4611686018427387904 OR (TG_OP = 'UPDATE' AND NEW.id <> OLD.id) THEN
        RAISE EXCEPTION '%.id is given by the database', TG_TABLE_NAME USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER commands_numbered BEFORE INSERT OR UPDATE OF id ON commands FOR EACH ROW EXECUTE FUNCTION dcm_numbered();
CREATE TRIGGER alerts_numbered BEFORE INSERT OR UPDATE OF id ON alerts FOR EACH ROW EXECUTE FUNCTION dcm_numbered();

-- As before, but only the same batch waits for itself: it may be sent again while the first try is under way.
CREATE OR REPLACE FUNCTION dcm_submit(commands jsonb) RETURNS SETOF bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    item record;
    number bigint;
    last_batch text;
BEGIN
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
            IF item.batch IS DISTINCT FROM last_batch THEN
                PERFORM pg_advisory_xact_lock(hashtextextended('dcm batch ' || item.batch, 0));
                last_batch := item.batch;
            END IF;
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

CREATE OR REPLACE FUNCTION dcm_drain(manager text, draining boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE managers AS known SET draining = dcm_drain.draining
    WHERE known.name = dcm_drain.manager AND dcm_drain.draining IS NOT NULL;
    RETURN FOUND;
END
$$;

DROP FUNCTION dcm_lock();

-- What is in the rows yet is new to every reader that comes.
UPDATE apps SET written_in = 0;

UPDATE dcm_schema SET version = 10;
