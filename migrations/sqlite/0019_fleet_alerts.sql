-- An alert may be about the fleet: then it names no app. A column cannot lose its NOT NULL: the table is made again.
CREATE TABLE alerts_of_all (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Null: the fleet.
    app_id          TEXT,
    kind            TEXT NOT NULL,
    runtime         TEXT NOT NULL,
    message         TEXT NOT NULL,
    opened          TEXT NOT NULL,
    delivered       TEXT,
    closed          TEXT,
    acknowledged    TEXT,
    acknowledged_by TEXT,
    muted_until     TEXT,
    -- The same text for the same cause.
    cause           TEXT NOT NULL DEFAULT '',
    -- warning or critical.
    severity        TEXT NOT NULL DEFAULT 'critical',
    last_seen       TEXT,
    count           INTEGER NOT NULL DEFAULT 1,
    -- The last lines of the standard error of the run.
    detail          TEXT,
    -- Of an alert about the fleet: the manager that alone sees the trouble; null where all of them see it.
    manager         TEXT,
    UNIQUE (app_id, kind, runtime)
) STRICT;
INSERT INTO alerts_of_all (id, app_id, kind, runtime, message, opened, delivered, closed, acknowledged, acknowledged_by,
        muted_until, cause, severity, last_seen, count, detail)
    SELECT id, app_id, kind, runtime, message, opened, delivered, closed, acknowledged, acknowledged_by,
        muted_until, cause, severity, last_seen, count, detail FROM alerts;
-- The numbers go on after those of rows that were pruned.
DELETE FROM sqlite_sequence WHERE name = 'alerts_of_all';
INSERT INTO sqlite_sequence (name, seq) SELECT 'alerts_of_all', seq FROM sqlite_sequence WHERE name = 'alerts';
DROP TABLE alerts;
ALTER TABLE alerts_of_all RENAME TO alerts;

CREATE INDEX alerts_open ON alerts (app_id) WHERE closed IS NULL;
-- An episode of the fleet is on record once, however often its commit is repeated, and while it is open no other of its
-- kind and cause begins.
CREATE UNIQUE INDEX alerts_fleet ON alerts (kind, cause, coalesce(manager, ''), runtime) WHERE app_id IS NULL;
CREATE UNIQUE INDEX alerts_fleet_open ON alerts (kind, cause, coalesce(manager, ''))
    WHERE app_id IS NULL AND closed IS NULL;

CREATE TRIGGER alerts_numbered BEFORE INSERT ON alerts WHEN NEW.id >= 4611686018427387904
BEGIN
    SELECT RAISE(ABORT, 'alerts.id is given by the database');
END;

CREATE TRIGGER alerts_keep_number BEFORE UPDATE OF id ON alerts WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'alerts.id is given by the database');
END;
