-- Documents for workers: directories that are watched, which queue a topic goes to, the versions of files that were seen,
-- and a row for each document and stage.

CREATE TABLE watch_roots (
    name            TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    path            TEXT NOT NULL,
    -- Of the file's own name.
    pattern         TEXT NOT NULL DEFAULT '*',
    recursive       INTEGER NOT NULL DEFAULT 0,
    app_group       TEXT NOT NULL,
    topic           TEXT NOT NULL,
    -- A file is taken when it has not changed for so long.
    stable_seconds  REAL NOT NULL DEFAULT 2,
    enabled         INTEGER NOT NULL DEFAULT 1,
    -- The manager that watches it, whose host has the directory. Null: whoever serves the database.
    manager         TEXT,
    -- What the manager says of it: its last scan, the files that it knows, what it cannot read.
    scanned         TEXT,
    files           INTEGER,
    fault           TEXT
) STRICT;

CREATE TABLE routes (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of topics: * is one word, # any number of them.
    pattern   TEXT NOT NULL,
    queue     TEXT NOT NULL,
    actor     TEXT NOT NULL,
    -- Of those that match the highest counts, then the lowest id.
    priority  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A version of a file. The same content as the latest version at that path is no new one.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    root        TEXT NOT NULL,
    -- A path that is no UTF-8, or that holds \x, is written with \xNN for what is no text and \\ for \; its bytes are
    -- beside it then.
    path        TEXT NOT NULL,
    path_bytes  BLOB,
    size        INTEGER,
    sha3        TEXT,
    modified    TEXT,
    seen        TEXT NOT NULL,
    topic       TEXT NOT NULL,
    app_group   TEXT NOT NULL,
    -- By which the file is known not to have changed, though its manager was away.
    stamp       TEXT,
    -- Since when this version is not there any more.
    gone        TEXT
) STRICT;
CREATE INDEX events_path ON events (root, path, id);
CREATE INDEX events_here ON events (root, id) WHERE gone IS NULL;

CREATE TABLE pipeline_task (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id    INTEGER NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    -- The task whose worker asked for this one; null: the first of its document.
    parent      INTEGER,
    -- The path.
    document    TEXT NOT NULL,
    topic       TEXT NOT NULL,
    -- Named after the actor. With it and the queue null until the topic has found its route; then they stay.
    stage       TEXT,
    actor       TEXT,
    queue       TEXT,
    message_id  TEXT NOT NULL UNIQUE DEFAULT (
        lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4' || substr(lower(hex(randomblob(2))), 2)
        || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(lower(hex(randomblob(2))), 2) || '-'
        || lower(hex(randomblob(6)))),
    -- 0 PENDING, 1 SENT, 2 RUNNING, 3 DONE, 4 FAILED (it is tried again), 5 DEAD.
    status      INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    created     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    sent        TEXT,
    started     TEXT,
    finished    TEXT,
    error       TEXT,
    -- Who published it.
    manager     TEXT,
    -- A message that is delivered again makes no second row of the next stage.
    UNIQUE (parent, topic)
) STRICT;
CREATE INDEX pipeline_task_event ON pipeline_task (event_id);
-- Screens look at what is not done, which are few, and at what was finished lately.
CREATE INDEX pipeline_task_open ON pipeline_task (stage, status, created, attempts) WHERE status <> 3;
CREATE INDEX pipeline_task_status ON pipeline_task (status, id) WHERE status <> 3;
CREATE INDEX pipeline_task_finished ON pipeline_task (finished, stage, status, started) WHERE finished IS NOT NULL;

-- Of a document: its row of pipeline_task.
ALTER TABLE deliveries ADD COLUMN task_id INTEGER;
CREATE INDEX deliveries_task ON deliveries (task_id) WHERE task_id IS NOT NULL;

-- What is PENDING is to be published: whoever writes the row, that goes with its transaction.
CREATE TRIGGER pipeline_task_inserted AFTER INSERT ON pipeline_task WHEN NEW.status = 0
BEGIN
    INSERT INTO deliveries (kind, channel, task_id, body, created, due)
    VALUES ('document', 'documents', NEW.id, '{"task":' || NEW.id || '}',
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));
END;
CREATE TRIGGER pipeline_task_again AFTER UPDATE OF status ON pipeline_task WHEN NEW.status = 0 AND OLD.status <> 0
    AND NOT EXISTS (SELECT 1 FROM deliveries WHERE task_id = NEW.id AND delivered IS NULL AND given_up IS NULL)
BEGIN
    INSERT INTO deliveries (kind, channel, task_id, body, created, due)
    VALUES ('document', 'documents', NEW.id, '{"task":' || NEW.id || '}',
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'));
END;

-- What found no route looks for one again.
CREATE TRIGGER routes_inserted AFTER INSERT ON routes
BEGIN
    UPDATE deliveries SET due = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE delivered IS NULL AND given_up IS NULL
      AND task_id IN (SELECT id FROM pipeline_task WHERE status = 0 AND status <> 3 AND stage IS NULL);
END;
CREATE TRIGGER routes_updated AFTER UPDATE ON routes
BEGIN
    UPDATE deliveries SET due = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE delivered IS NULL AND given_up IS NULL
      AND task_id IN (SELECT id FROM pipeline_task WHERE status = 0 AND status <> 3 AND stage IS NULL);
END;

-- Numbers are given in their order; after the largest there is none.
CREATE TRIGGER deliveries_numbered BEFORE INSERT ON deliveries WHEN NEW.id >= 4611686018427387904
BEGIN
    SELECT RAISE(ABORT, 'deliveries.id is given by the database');
END;
CREATE TRIGGER deliveries_keep_number BEFORE UPDATE OF id ON deliveries WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'deliveries.id is given by the database');
END;
CREATE TRIGGER routes_numbered BEFORE INSERT ON routes WHEN NEW.id >= 4611686018427387904
BEGIN
    SELECT RAISE(ABORT, 'routes.id is given by the database');
END;
CREATE TRIGGER routes_keep_number BEFORE UPDATE OF id ON routes WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'routes.id is given by the database');
END;
CREATE TRIGGER events_numbered BEFORE INSERT ON events WHEN NEW.id >= 4611686018427387904
BEGIN
    SELECT RAISE(ABORT, 'events.id is given by the database');
END;
CREATE TRIGGER events_keep_number BEFORE UPDATE OF id ON events WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'events.id is given by the database');
END;
CREATE TRIGGER pipeline_task_numbered BEFORE INSERT ON pipeline_task WHEN NEW.id >= 4611686018427387904
BEGIN
    SELECT RAISE(ABORT, 'pipeline_task.id is given by the database');
END;
CREATE TRIGGER pipeline_task_keep_number BEFORE UPDATE OF id ON pipeline_task WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'pipeline_task.id is given by the database');
END;
