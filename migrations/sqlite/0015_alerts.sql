-- An alert says what brought it about, how bad it is, how often and when last it was seen.
ALTER TABLE alerts RENAME COLUMN raised TO opened;
ALTER TABLE alerts RENAME COLUMN cleared TO closed;
ALTER TABLE alerts RENAME COLUMN acked TO acknowledged;
ALTER TABLE alerts RENAME COLUMN acked_by TO acknowledged_by;
-- The same text for the same cause.
ALTER TABLE alerts ADD COLUMN cause TEXT NOT NULL DEFAULT '';
-- warning or critical.
ALTER TABLE alerts ADD COLUMN severity TEXT NOT NULL DEFAULT 'critical';
ALTER TABLE alerts ADD COLUMN last_seen TEXT;
ALTER TABLE alerts ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
-- The last lines of the standard error of the run.
ALTER TABLE alerts ADD COLUMN detail TEXT;

-- What older versions wrote has both in its message: '3 failures in a row, the last: exit 1'.
UPDATE alerts SET last_seen = opened,
    severity = CASE WHEN kind IN ('host_exhausted', 'bad_report') THEN 'warning' ELSE 'critical' END,
    count = CASE WHEN message LIKE '% failures in a row, the last: %' THEN CAST(message AS INTEGER) ELSE 1 END,
    cause = replace(replace(replace(CASE WHEN message LIKE '% failures in a row, the last: %'
        THEN substr(message, instr(message, ', the last: ') + 12) ELSE message END,
        ', core dumped', ''), ' while starting', ''), '; it is tried again', '');
