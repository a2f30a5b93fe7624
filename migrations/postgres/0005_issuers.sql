-- A command is entered under the name that its own statement gives, else under the login, never under the name of
-- the command before.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Statements that set cmd_by, as the row and its revision before: the name of the last command stands in
-- the row as well, so that the value alone does not say whether a statement gave one.
CREATE TABLE command_issuers (
    id        bigint PRIMARY KEY,
    revision  bigint NOT NULL
);

CREATE FUNCTION dcm_apps_issuer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO command_issuers (id, revision) VALUES (OLD.id, OLD.revision)
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION dcm_apps_issuer() FROM PUBLIC;
-- Triggers of a column fire for every statement that sets it, to whatever value.
CREATE TRIGGER apps_issuer BEFORE UPDATE OF cmd_by ON apps FOR EACH ROW
WHEN (NEW.cmd_flag = 0 AND NEW.cmd_name IS NOT NULL AND NEW.cmd_id IS NOT DISTINCT FROM OLD.cmd_id)
EXECUTE FUNCTION dcm_apps_issuer();

CREATE OR REPLACE FUNCTION dcm_apps_command() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    issuer text := NEW.cmd_by;
    issued timestamptz := NEW.cmd_time;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (SELECT FROM command_issuers WHERE id = OLD.id AND revision = OLD.revision) THEN
            issuer := NULL;
        END IF;
        -- The time of the command before is not that of this one.
        IF NEW.cmd_time IS NOT DISTINCT FROM OLD.cmd_time THEN
            issued := NULL;
        END IF;
    END IF;
    INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_time, cmd_args)
    VALUES (NEW.app, NEW.cmd_name, coalesce(issuer, session_user), coalesce(issued, clock_timestamp()), NEW.cmd_args);
    RETURN NULL;
END
$$;

UPDATE dcm_schema SET version = 5;
