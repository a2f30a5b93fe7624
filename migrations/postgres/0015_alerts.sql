-- An alert says what brought it about, how bad it is, how often and when last it was seen.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE alerts RENAME COLUMN raised TO opened;
ALTER TABLE alerts RENAME COLUMN cleared TO closed;
ALTER TABLE alerts RENAME COLUMN acked TO acknowledged;
ALTER TABLE alerts RENAME COLUMN acked_by TO acknowledged_by;
ALTER TABLE alerts
    -- The same text for the same cause.
    ADD COLUMN cause     text NOT NULL DEFAULT '',
    -- warning or critical.
    ADD COLUMN severity  text NOT NULL DEFAULT 'critical',
    ADD COLUMN last_seen timestamptz(3),
    ADD COLUMN count     bigint NOT NULL DEFAULT 1,
    -- The last lines of the standard error of the run.
    ADD COLUMN detail    text;

-- What older versions wrote has both in its message: '3 failures in a row, the last: exit 1'.
UPDATE alerts SET last_seen = opened,
    severity = CASE WHEN kind IN ('host_exhausted', 'bad_report') THEN 'warning' ELSE 'critical' END,
    count = coalesce(substring(message FROM '^([0-9]{1,9}) failures in a row, the last: ')::bigint, 1),
    cause = regexp_replace(regexp_replace(message, '^[0-9]+ failures in a row, the last: ', ''),
        ', core dumped| while starting|; it is tried again', '', 'g');

-- The server renames columns in triggers and rights, and not in the texts of functions.
ALTER FUNCTION dcm_alerts_acked() RENAME TO dcm_alerts_acknowledged;
ALTER TRIGGER alerts_acked ON alerts RENAME TO alerts_acknowledged;
DO $$
DECLARE
    definition text;
BEGIN
    FOR definition IN SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
        AND proname IN ('dcm_alerts_acknowledged', 'dcm_grant_roles', 'dcm_prune')
    LOOP
        definition := regexp_replace(definition, '\macked\M', 'acknowledged', 'g');
        definition := regexp_replace(definition, '\macked_by\M', 'acknowledged_by', 'g');
        definition := regexp_replace(definition, '\mcleared\M', 'closed', 'g');
        EXECUTE regexp_replace(definition, '\mraised\M', 'opened', 'g');
    END LOOP;
END
$$;

UPDATE dcm_schema SET version = 15;
