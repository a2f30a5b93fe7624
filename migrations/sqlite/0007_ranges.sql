-- Numbers that a program wrote at the end of their range stop nobody who counts on from there.

DROP TRIGGER apps_owner;
CREATE TRIGGER apps_owner AFTER UPDATE OF manager ON apps WHEN NEW.manager IS NOT OLD.manager
BEGIN
    UPDATE apps SET epoch = min(OLD.epoch, 9223372036854775806) + 1, owned_since = (SELECT value FROM revision)
    WHERE id = NEW.id;
END;

-- A revision that was not counted is replaced: readers would wait for it, or never see the row again.
DROP TRIGGER apps_revision_update;
CREATE TRIGGER apps_revision_update AFTER UPDATE ON apps
WHEN NEW.revision = OLD.revision OR NEW.revision <> (SELECT value FROM revision)
BEGIN
    UPDATE revision SET value = value + 1;
    UPDATE apps SET revision = (SELECT value FROM revision) WHERE id = NEW.id;
END;

CREATE TRIGGER revision_counts BEFORE UPDATE ON revision
WHEN NEW.value < OLD.value OR NEW.value >= 4611686018427387904
BEGIN
    SELECT RAISE(ABORT, 'the revision is counted by triggers');
END;

CREATE TRIGGER revision_stays BEFORE DELETE ON revision
BEGIN
    SELECT RAISE(ABORT, 'the revision is counted by triggers');
END;

-- Numbers of the ledger and of alerts are given in their order; after the largest there is none.
CREATE TRIGGER commands_numbered BEFORE INSERT ON commands WHEN NEW.id >= 4611686018427387904
BEGIN
    SELECT RAISE(ABORT, 'commands.id is given by the database');
END;

CREATE TRIGGER commands_keep_number BEFORE UPDATE OF id ON commands WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'commands.id is given by the database');
END;

CREATE TRIGGER alerts_numbered BEFORE INSERT ON alerts WHEN NEW.id >= 4611686018427387904
BEGIN
    SELECT RAISE(ABORT, 'alerts.id is given by the database');
END;

CREATE TRIGGER alerts_keep_number BEFORE UPDATE OF id ON alerts WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'alerts.id is given by the database');
END;
