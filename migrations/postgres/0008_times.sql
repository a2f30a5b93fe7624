-- What next_run is, so that whoever takes an app up knows what to do with it when the clock was set; and more
-- reasons for times that did not become runs.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE apps
    -- calendar: a time of cron_expression; pause: the end of an interval, a retry or a back-off; asked: the app, a
    -- person or another program wrote it. Null: the manager has not written it.
    ADD COLUMN next_run_kind text CHECK (next_run_kind IN ('calendar', 'pause', 'asked')),
    -- The length of the pause at whose end next_run lies, in seconds.
    ADD COLUMN pause double precision;

-- overlap: the run before was under way; superseded: another time was asked for; retry: a retry or back-off
-- was awaited; no_room: a limit on running apps; missed: nothing could start it; catch_up_limit: more was missed
-- than that; stopped, disabled, given_up, rescheduled: that came before it was run.
ALTER TABLE skips
    DROP CONSTRAINT skips_reason_check,
    ADD CONSTRAINT skips_reason_check CHECK (reason IN ('overlap', 'superseded', 'retry', 'no_room', 'missed',
        'catch_up_limit', 'stopped', 'disabled', 'given_up', 'rescheduled'));

UPDATE dcm_schema SET version = 8;
