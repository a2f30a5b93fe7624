-- Several managers on one database, and what operators note: who takes over, who acknowledged, why.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps
    -- The managers that may run it are those that serve this pool; null: all of them.
    ADD COLUMN pool         text,
    -- What happens when its manager is lost: never, manual, exclusive, at_least_once.
    ADD COLUMN failover     text NOT NULL DEFAULT 'never',
    -- Its commands are never sent without a question.
    ADD COLUMN protected    boolean NOT NULL DEFAULT false,
    -- Grows with every change of `manager`, whoever writes it: the fencing token.
    ADD COLUMN epoch        bigint NOT NULL DEFAULT 0,
    -- The revision of that change.
    ADD COLUMN owned_since  bigint NOT NULL DEFAULT 0;
CREATE INDEX apps_unowned ON apps (id) WHERE manager IS NULL;
CREATE INDEX apps_manager ON apps (manager);

ALTER TABLE managers
    -- Each time that the name is taken, and each time that it is taken away, begins a new incarnation;
    -- what an earlier one writes is refused.
    ADD COLUMN incarnation  bigint NOT NULL DEFAULT 0,
    -- Counts renewals of the lease: others see by it that the manager lives, without trusting clocks.
    ADD COLUMN renewals     bigint NOT NULL DEFAULT 0,
    -- Seconds that a lease lasts, and until when.
    ADD COLUMN lease        double precision NOT NULL DEFAULT 15,
    ADD COLUMN lease_until  timestamptz(3),
    -- Since when it has held its seat without a break.
    ADD COLUMN seated       timestamptz(3),
    -- Which state directory it works with, and on which boot of its host: there its runs are.
    ADD COLUMN home         text,
    ADD COLUMN boot         text,
    -- The pools that it serves.
    ADD COLUMN pools        text[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT managers_lease_is_sane CHECK (lease BETWEEN 0.1 AND 86400),
    -- It starts nothing new, and gives away what may run elsewhere.
    ADD COLUMN draining     boolean NOT NULL DEFAULT false,
    -- Runs under way, the most that it may have, and those that wait for room.
    ADD COLUMN running      bigint,
    ADD COLUMN running_max  bigint,
    ADD COLUMN waiting      bigint;

ALTER TABLE commands
    -- Commands that were sent together; to send the same batch again enters nothing.
    ADD COLUMN batch  text,
    -- Why they were sent, for people.
    ADD COLUMN note   text;
CREATE INDEX commands_batch ON commands (batch) WHERE batch IS NOT NULL;

ALTER TABLE alerts
    ADD COLUMN acked        timestamptz(3),
    ADD COLUMN acked_by     text,
    ADD COLUMN muted_until  timestamptz(3);

CREATE FUNCTION dcm_apps_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.epoch := NEW.epoch + 1;
    NEW.owned_since := NEW.revision;
    RETURN NEW;
END
$$;
-- Triggers of one kind run in the order of their names: apps_write has drawn the revision by then.
CREATE TRIGGER apps_write_owner BEFORE UPDATE ON apps FOR EACH ROW
WHEN (NEW.manager IS DISTINCT FROM OLD.manager) EXECUTE FUNCTION dcm_apps_owner();
CREATE TRIGGER apps_write_owner_insert BEFORE INSERT ON apps FOR EACH ROW
WHEN (NEW.manager IS NOT NULL) EXECUTE FUNCTION dcm_apps_owner();

-- For what an app writes elsewhere: within the transaction that it is called in, no later owner of the
-- app begins. SELECT dcm_assert_fence(DC_FENCE) fails if there is one already.
CREATE FUNCTION dcm_assert_fence(token text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    parts CONSTANT text[] := string_to_array(token, ':');
    current bigint;
BEGIN
    IF token !~ '^[0-9]{1,10}:[0-9a-f]{64}:[0-9]{1,18}$' OR token IS NULL THEN
        RAISE EXCEPTION 'not a token of DC_FENCE: %', left(token, 100) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT epoch INTO current FROM apps WHERE app = parts[2] FOR SHARE;
    IF current IS DISTINCT FROM parts[3]::bigint
            OR parts[1]::bigint NOT IN (0, (SELECT timeline_id FROM pg_control_checkpoint())) THEN
        RAISE EXCEPTION 'the app is another manager''s by now: its run must end' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END
$$;

-- What others must learn of at once; the renewal of a lease is no news.
DROP TRIGGER managers_notify_update ON managers;
CREATE TRIGGER managers_notify_update AFTER UPDATE ON managers FOR EACH ROW
WHEN ((NEW.host, NEW.pid, NEW.version, NEW.started, NEW.stopped, NEW.incarnation, NEW.draining, NEW.pools)
    IS DISTINCT FROM (OLD.host, OLD.pid, OLD.version, OLD.started, OLD.stopped, OLD.incarnation, OLD.draining, OLD.pools))
EXECUTE FUNCTION dcm_notify();

UPDATE dcm_schema SET version = 2;
