-- Several managers on one database, and what operators note: who takes over, who acknowledged, why. An
-- embedded database has one manager; the columns have the same names and meaning as on a server.

-- The managers that may run it are those that serve this pool; null: all of them.
ALTER TABLE apps ADD COLUMN pool TEXT;
-- What happens when its manager is lost: never, manual, exclusive, at_least_once.
ALTER TABLE apps ADD COLUMN failover TEXT NOT NULL DEFAULT 'never';
-- Its commands are never sent without a question.
ALTER TABLE apps ADD COLUMN protected INTEGER NOT NULL DEFAULT 0;
-- Grows with every change of `manager`, whoever writes it: the fencing token.
ALTER TABLE apps ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
-- The revision of that change.
ALTER TABLE apps ADD COLUMN owned_since INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER apps_owner AFTER UPDATE OF manager ON apps WHEN NEW.manager IS NOT OLD.manager
BEGIN
    UPDATE apps SET epoch = OLD.epoch + 1, owned_since = (SELECT value FROM revision) WHERE id = NEW.id;
END;

ALTER TABLE managers ADD COLUMN incarnation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE managers ADD COLUMN renewals INTEGER NOT NULL DEFAULT 0;
ALTER TABLE managers ADD COLUMN lease REAL NOT NULL DEFAULT 15;
ALTER TABLE managers ADD COLUMN lease_until TEXT;
ALTER TABLE managers ADD COLUMN seated TEXT;
ALTER TABLE managers ADD COLUMN home TEXT;
ALTER TABLE managers ADD COLUMN boot TEXT;
-- A JSON array of the pools that it serves.
ALTER TABLE managers ADD COLUMN pools TEXT NOT NULL DEFAULT '[]';
ALTER TABLE managers ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;
-- Runs under way, the most that it may have, and those that wait for room.
ALTER TABLE managers ADD COLUMN running INTEGER;
ALTER TABLE managers ADD COLUMN running_max INTEGER;
ALTER TABLE managers ADD COLUMN waiting INTEGER;

-- Commands that were sent together; to send the same batch again enters nothing.
ALTER TABLE commands ADD COLUMN batch TEXT;
-- Why they were sent, for people.
ALTER TABLE commands ADD COLUMN note TEXT;
CREATE INDEX commands_batch ON commands (batch) WHERE batch IS NOT NULL;

ALTER TABLE alerts ADD COLUMN acked TEXT;
ALTER TABLE alerts ADD COLUMN acked_by TEXT;
ALTER TABLE alerts ADD COLUMN muted_until TEXT;
