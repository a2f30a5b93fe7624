-- What next_run is, so that whoever takes an app up knows what to do with it when the clock was set; and more
-- reasons for times that did not become runs.

-- calendar: a time of cron_expression; pause: the end of an interval, a retry or a back-off; asked: the app, a
-- person or another program wrote it. Null: the manager has not written it.
ALTER TABLE apps ADD COLUMN next_run_kind TEXT CHECK (next_run_kind IN ('calendar', 'pause', 'asked'));
-- The length of the pause at whose end next_run lies, in seconds.
ALTER TABLE apps ADD COLUMN pause REAL;

CREATE TABLE skips_with_reasons (
    app_id     TEXT NOT NULL,
    first_due  TEXT NOT NULL,
    last_due   TEXT NOT NULL,
    -- How many; null: more than were counted.
    slots      INTEGER,
    -- overlap: the run before was under way; superseded: another time was asked for; retry: a retry or back-off
    -- was awaited; no_room: a limit on running apps; missed: nothing could start it; catch_up_limit: more was missed
    -- than that; stopped, disabled, given_up, rescheduled: that came before it was run.
    reason     TEXT NOT NULL CHECK (reason IN ('overlap', 'superseded', 'retry', 'no_room', 'missed', 'catch_up_limit',
                                               'stopped', 'disabled', 'given_up', 'rescheduled')),
    recorded   TEXT NOT NULL,
    PRIMARY KEY (app_id, first_due, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO skips_with_reasons SELECT app_id, first_due, last_due, slots, reason, recorded FROM skips;
DROP TABLE skips;
ALTER TABLE skips_with_reasons RENAME TO skips;
