-- Commands that come as messages: each is entered once, however often its message comes, and is answered where an answer
-- is asked for. Managers say whether they reach their broker.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE commands
    -- The id of the message.
    ADD COLUMN request         text,
    -- The app as the message names it.
    ADD COLUMN asked           text,
    -- The manager by whose queue it came.
    ADD COLUMN received_by     text,
    -- The queue in which the verdict is awaited, and the sender's own mark for it.
    ADD COLUMN reply_to        text,
    ADD COLUMN correlation_id  text,
    -- How often the message came again.
    ADD COLUMN repeats         bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX commands_request ON commands (request) WHERE request IS NOT NULL;

-- With the verdict the answer is on its way; a message that comes again after it is answered again.
CREATE FUNCTION dcm_commands_answered() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    names CONSTANT text[] := ARRAY['START', 'STOP', 'RESTART', 'ENABLE', 'DISABLE'];
    moment CONSTANT timestamptz := clock_timestamp();
BEGIN
    INSERT INTO deliveries (kind, channel, body, created, due, manager)
    VALUES (
        'reply', 'rabbitmq',
        jsonb_build_object(
            'reply_to', NEW.reply_to,
            'correlation_id', NEW.correlation_id,
            'reply', jsonb_build_object(
                'id', NEW.request,
                'app', NEW.asked,
                'command', names[NEW.cmd_name],
                'verdict', CASE NEW.cmd_flag WHEN 1 THEN 'EXECUTED' ELSE 'NOT_EXECUTED' END,
                'reason', NEW.reason,
                'cmd_exec', to_char(NEW.cmd_exec AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')))::text,
        moment, moment, NEW.received_by);
    RETURN NULL;
END
$$;
REVOKE EXECUTE ON FUNCTION dcm_commands_answered() FROM PUBLIC;
CREATE TRIGGER commands_answered AFTER UPDATE OF cmd_flag, repeats ON commands FOR EACH ROW
WHEN (NEW.cmd_flag <> 0 AND NEW.reply_to IS NOT NULL AND (OLD.cmd_flag = 0 OR NEW.repeats <> OLD.repeats))
EXECUTE FUNCTION dcm_commands_answered();

ALTER TABLE managers
    -- `connected`, `blocked since T: why` or `away since T: why`; null where no broker is set up.
    ADD COLUMN broker        text,
    -- Messages that were no commands.
    ADD COLUMN dead_letters  bigint NOT NULL DEFAULT 0;

-- As before, and managers note where the answer to a command goes.
DO $$
DECLARE
    old CONSTANT text := pg_get_functiondef('dcm_grant_roles()'::regprocedure);
    new CONSTANT text := replace(old, 'UPDATE (app_id, cmd_flag, cmd_exec, reason) ON commands',
        'UPDATE (app_id, cmd_flag, cmd_exec, reason, reply_to, correlation_id, repeats) ON commands');
BEGIN
    ASSERT new <> old, 'dcm_grant_roles() grants nothing on commands';
    EXECUTE new;
END
$$;

UPDATE dcm_schema SET version = 26;
