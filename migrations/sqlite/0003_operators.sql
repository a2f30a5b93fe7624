-- The ends of logs for those who look from another host. An embedded database has one host; the tables have
-- the same names and meaning as on a server.

-- Somebody looks at the log of an app: its manager keeps the end of it here until then.
CREATE TABLE log_wishes (
    app_id  TEXT NOT NULL PRIMARY KEY,
    until   TEXT NOT NULL
);

-- The end of the log of a run, as it is in the file; of runs that failed, and of those that somebody
-- looks at from another host.
CREATE TABLE log_tails (
    runtime  TEXT NOT NULL PRIMARY KEY,
    app_id   TEXT NOT NULL,
    manager  TEXT NOT NULL,
    bytes    BLOB NOT NULL,
    written  TEXT NOT NULL
);
CREATE INDEX log_tails_app ON log_tails (app_id, written);
CREATE INDEX log_tails_written ON log_tails (written);
