-- Commands that come as messages: each is entered once, however often its message comes, and is answered where an answer
-- is asked for. Managers say whether they reach their broker.

-- The id of the message.
ALTER TABLE commands ADD COLUMN request TEXT;
-- The app as the message names it.
ALTER TABLE commands ADD COLUMN asked TEXT;
-- The manager by whose queue it came.
ALTER TABLE commands ADD COLUMN received_by TEXT;
-- The queue in which the verdict is awaited, and the sender's own mark for it.
ALTER TABLE commands ADD COLUMN reply_to TEXT;
ALTER TABLE commands ADD COLUMN correlation_id TEXT;
-- How often the message came again.
ALTER TABLE commands ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX commands_request ON commands (request) WHERE request IS NOT NULL;

-- With the verdict the answer is on its way; a message that comes again after it is answered again.
CREATE TRIGGER commands_answered AFTER UPDATE OF cmd_flag, repeats ON commands
WHEN NEW.cmd_flag <> 0 AND NEW.reply_to IS NOT NULL AND (OLD.cmd_flag = 0 OR NEW.repeats <> OLD.repeats)
BEGIN
    INSERT INTO deliveries (kind, channel, body, created, due, manager)
    VALUES (
        'reply', 'rabbitmq',
        json_object(
            'reply_to', NEW.reply_to,
            'correlation_id', NEW.correlation_id,
            'reply', json_object(
                'id', NEW.request,
                'app', NEW.asked,
                'command', CASE NEW.cmd_name WHEN 1 THEN 'START' WHEN 2 THEN 'STOP' WHEN 3 THEN 'RESTART'
                    WHEN 4 THEN 'ENABLE' ELSE 'DISABLE' END,
                'verdict', CASE NEW.cmd_flag WHEN 1 THEN 'EXECUTED' ELSE 'NOT_EXECUTED' END,
                'reason', NEW.reason,
                'cmd_exec', NEW.cmd_exec)),
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), NEW.received_by);
END;

-- `connected`, `blocked since T: why` or `away since T: why`; null where no broker is set up.
ALTER TABLE managers ADD COLUMN broker TEXT;
-- Messages that were no commands.
ALTER TABLE managers ADD COLUMN dead_letters INTEGER NOT NULL DEFAULT 0;
