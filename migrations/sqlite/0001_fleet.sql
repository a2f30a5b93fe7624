-- The fleet: apps and the hierarchy above them, runs, commands, managers, alerts.
--
-- Times are text in UTC, `2026-11-23T14:02:11.123Z`. Any program may write to `apps`: triggers bring
-- times into that form, turn commands into rows of the ledger, and count revisions.

-- "dcm" and 1: tells this database from those of other programs.
PRAGMA application_id = 1684237569;

CREATE TABLE app_groups (
    app_group    TEXT NOT NULL PRIMARY KEY,
    description  TEXT,
    -- At most so many apps of the group run at once; null: no limit.
    max_running  INTEGER CHECK (max_running >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE app_parents (
    app_group    TEXT NOT NULL REFERENCES app_groups (app_group),
    app_parent   TEXT NOT NULL,
    description  TEXT,
    max_running  INTEGER CHECK (max_running >= 0),
    PRIMARY KEY (app_group, app_parent)
) STRICT, WITHOUT ROWID;

-- What programs write here is checked by the manager: an invalid row is set aside with a message in
-- `fault`, so that one bad row is neither a reason to stop nor lost.
CREATE TABLE apps (
    id               INTEGER PRIMARY KEY,
    -- SHA3-256 of `GROUP|PARENT|APP` in hex; the manager fills it in where it is null.
    app              TEXT UNIQUE,
    app_group        TEXT NOT NULL,
    app_parent       TEXT NOT NULL,
    app_name         TEXT NOT NULL,
    -- What is run: a JSON array of strings; null: PYTHON -m apps.GROUP.PARENT.APP.main.
    command          TEXT,
    cwd              TEXT,
    env              TEXT,
    pass_database    INTEGER NOT NULL DEFAULT 0 CHECK (pass_database IN (0, 1)),
    -- When it is run. Intervals are minutes.
    interval         REAL,
    retry_interval   REAL,
    cron_expression  TEXT,
    time_zone        TEXT NOT NULL DEFAULT 'UTC',
    jitter           REAL NOT NULL DEFAULT 0,
    next_run         TEXT,
    disable          INTEGER NOT NULL DEFAULT 1 CHECK (disable IN (0, 1)),
    -- Policies.
    catch_up         TEXT NOT NULL DEFAULT 'latest',
    catch_up_limit   INTEGER NOT NULL DEFAULT 10,
    max_failures     INTEGER NOT NULL DEFAULT 3,
    stop_grace       REAL NOT NULL DEFAULT 10,
    max_runtime      REAL,
    log_limit        INTEGER NOT NULL DEFAULT 10485760,
    log_keep         INTEGER NOT NULL DEFAULT 20,
    -- What the app reports.
    task_size        INTEGER,
    progress         INTEGER,
    solved           INTEGER,
    failed           INTEGER,
    eta              TEXT,
    message          TEXT,
    -- What the manager writes.
    run_status       INTEGER NOT NULL DEFAULT 0 CHECK (run_status IN (0, 1, 2)),
    app_pids         TEXT,
    runtime          TEXT,
    last_run         TEXT,
    stopped_by       TEXT,
    failures         INTEGER NOT NULL DEFAULT 0,
    fatal_flag       INTEGER NOT NULL DEFAULT 0 CHECK (fatal_flag IN (0, 1, 2, 3)),
    fatal_msg        TEXT,
    fatal_time       TEXT,
    waiting_for      TEXT,
    manager          TEXT,
    fault            TEXT,
    -- The latest command; cmd_id is its row in the ledger.
    cmd_name         INTEGER CHECK (cmd_name IN (1, 2, 3, 4, 5)),
    cmd_flag         INTEGER CHECK (cmd_flag IN (0, 1, 2)),
    cmd_by           TEXT,
    cmd_time         TEXT,
    cmd_exec         TEXT,
    cmd_args         TEXT,
    cmd_id           INTEGER,
    -- A next_run that was not written by the manager, until it has dealt with it.
    asked_next_run   TEXT,
    -- Counts the manager's writes of this row.
    sequence         INTEGER NOT NULL DEFAULT 0,
    -- Grows with every change of any row: what is greater than the last one seen is new.
    revision         INTEGER NOT NULL DEFAULT 0,
    UNIQUE (app_group, app_parent, app_name)
) STRICT;
CREATE INDEX apps_revision ON apps (revision);

-- One row a run. A run without an end is open, and an app has at most one of them.
CREATE TABLE runtime (
    runtime     TEXT NOT NULL PRIMARY KEY,
    app_id      TEXT NOT NULL,
    start_time  TEXT NOT NULL,
    end_time    TEXT,
    -- Whole seconds, minutes and hours of the run.
    totals      INTEGER,
    totalm      INTEGER,
    totalh      INTEGER,
    except_cnt  INTEGER NOT NULL DEFAULT 0,
    -- Null when it is not known; 128 + signal when a signal ended it.
    exit_code   INTEGER,
    signal      INTEGER,
    outcome     TEXT,
    task_size   INTEGER,
    solved      INTEGER,
    failed      INTEGER,
    message     TEXT,
    trigger     TEXT NOT NULL CHECK (trigger IN ('schedule', 'command', 'run-app', 'catch-up')),
    due_time    TEXT,
    attempt     INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    command_id  INTEGER,
    manager     TEXT,
    pid         INTEGER,
    -- Processes of the run that outlived its main process and were killed.
    leftovers   INTEGER NOT NULL DEFAULT 0,
    CHECK ((end_time IS NULL) = (outcome IS NULL)),
    CHECK (end_time IS NOT NULL OR exit_code IS NULL)
) STRICT;
CREATE UNIQUE INDEX runtime_open ON runtime (app_id) WHERE end_time IS NULL;
CREATE INDEX runtime_history ON runtime (app_id, start_time);
CREATE INDEX runtime_time ON runtime (start_time);

CREATE TRIGGER runtime_closed BEFORE UPDATE ON runtime WHEN OLD.end_time IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a closed run is never changed');
END;

-- Times that were due and did not become runs.
CREATE TABLE skips (
    app_id     TEXT NOT NULL,
    first_due  TEXT NOT NULL,
    last_due   TEXT NOT NULL,
    -- How many; null: more than were counted.
    slots      INTEGER,
    reason     TEXT NOT NULL CHECK (reason IN ('overlap', 'superseded', 'missed', 'catch_up_limit')),
    recorded   TEXT NOT NULL,
    PRIMARY KEY (app_id, first_due, reason)
) STRICT, WITHOUT ROWID;

-- The ledger of commands. Each ends with exactly one verdict.
CREATE TABLE commands (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    -- apps.app, or GROUP/PARENT/APP where that was not filled in yet.
    app_id      TEXT NOT NULL,
    cmd_name    INTEGER NOT NULL CHECK (cmd_name IN (1, 2, 3, 4, 5)),
    cmd_flag    INTEGER NOT NULL DEFAULT 0 CHECK (cmd_flag IN (0, 1, 2)),
    cmd_by      TEXT NOT NULL,
    cmd_source  TEXT NOT NULL DEFAULT 'apps' CHECK (cmd_source IN ('apps', 'cli', 'console', 'rabbitmq')),
    cmd_time    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    cmd_exec    TEXT,
    cmd_args    TEXT,
    reason      TEXT,
    expires     TEXT,
    CHECK ((cmd_flag = 0) = (cmd_exec IS NULL)),
    CHECK ((cmd_flag = 2) = (reason IS NOT NULL))
) STRICT;
CREATE INDEX commands_pending ON commands (id) WHERE cmd_flag = 0;
CREATE INDEX commands_app ON commands (app_id, id);

CREATE TRIGGER commands_settled BEFORE UPDATE OF cmd_flag ON commands WHEN OLD.cmd_flag <> 0
BEGIN
    SELECT RAISE(ABORT, 'a verdict is final');
END;

CREATE TABLE managers (
    name       TEXT NOT NULL PRIMARY KEY,
    host       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    version    TEXT NOT NULL,
    started    TEXT NOT NULL,
    heartbeat  TEXT NOT NULL,
    -- When it ended in order; null while it lives and after a crash.
    stopped    TEXT
) STRICT, WITHOUT ROWID;

-- One row an episode.
CREATE TABLE alerts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    runtime    TEXT NOT NULL,
    message    TEXT NOT NULL,
    raised     TEXT NOT NULL,
    delivered  TEXT,
    cleared    TEXT,
    UNIQUE (app_id, kind, runtime)
) STRICT;
CREATE INDEX alerts_open ON alerts (app_id) WHERE cleared IS NULL;

-- Apps that were deleted, so that managers and consoles learn of it. They stay here when they are
-- registered again: who saw neither learns first that the old row is gone, then of the new one.
CREATE TABLE removed_apps (
    app       TEXT NOT NULL PRIMARY KEY,
    revision  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revision (
    only_row  INTEGER PRIMARY KEY CHECK (only_row = 1),
    value     INTEGER NOT NULL
) STRICT;
INSERT INTO revision (only_row, value) VALUES (1, 0);

-- Every change of a row gets the next revision.
CREATE TRIGGER apps_revision_insert AFTER INSERT ON apps
BEGIN
    UPDATE revision SET value = value + 1;
    UPDATE apps SET revision = (SELECT value FROM revision) WHERE id = NEW.id;
    INSERT OR IGNORE INTO app_groups (app_group) VALUES (NEW.app_group);
    INSERT OR IGNORE INTO app_parents (app_group, app_parent) VALUES (NEW.app_group, NEW.app_parent);
END;

CREATE TRIGGER apps_revision_update AFTER UPDATE ON apps WHEN NEW.revision = OLD.revision
BEGIN
    UPDATE revision SET value = value + 1;
    UPDATE apps SET revision = (SELECT value FROM revision) WHERE id = NEW.id;
END;

CREATE TRIGGER apps_revision_delete AFTER DELETE ON apps WHEN OLD.app IS NOT NULL
BEGIN
    UPDATE revision SET value = value + 1;
    INSERT OR REPLACE INTO removed_apps (app, revision) SELECT OLD.app, value FROM revision;
END;

-- A time that another program wrote. What cannot be read as a time stays for the manager to report.
CREATE TRIGGER apps_next_run_insert AFTER INSERT ON apps
WHEN NEW.next_run GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
BEGIN
    UPDATE apps SET next_run = coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', NEW.next_run), NEW.next_run) WHERE id = NEW.id;
END;

-- The manager's own writes count up `sequence`; any other write of next_run is a wish.
CREATE TRIGGER apps_next_run_update AFTER UPDATE OF next_run ON apps WHEN NEW.sequence = OLD.sequence
BEGIN
    UPDATE apps SET next_run = coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', NEW.next_run), NEW.next_run)
    WHERE id = NEW.id AND NEW.next_run GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*';
    UPDATE apps SET asked_next_run = next_run WHERE id = NEW.id;
END;

CREATE TRIGGER apps_eta_update AFTER UPDATE OF eta ON apps
WHEN NEW.eta NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'
BEGIN
    UPDATE apps SET eta = CASE WHEN NEW.eta GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'
        THEN strftime('%Y-%m-%dT%H:%M:%fZ', NEW.eta) END
    WHERE id = NEW.id;
END;

-- Percentage and ETA follow from the counters where the app does not give them. The arithmetic is
-- that of floating point, which large counters cannot overflow.
CREATE TRIGGER apps_estimate AFTER UPDATE OF task_size, solved, failed ON apps
WHEN NEW.task_size > 0 AND (NEW.solved IS NOT OLD.solved OR NEW.failed IS NOT OLD.failed OR NEW.task_size IS NOT OLD.task_size)
BEGIN
    UPDATE apps SET progress = CAST(min(100.0, max(0.0,
        (ifnull(NEW.solved, 0) + 0.0 + ifnull(NEW.failed, 0)) * 100.0 / NEW.task_size)) AS INTEGER)
    WHERE id = NEW.id AND NEW.progress IS OLD.progress;
    UPDATE apps SET eta = strftime('%Y-%m-%dT%H:%M:%fZ', julianday('now')
        + (julianday('now') - julianday(NEW.last_run))
        * max(0.0, NEW.task_size - ifnull(NEW.solved, 0) + 0.0 - ifnull(NEW.failed, 0))
        / (ifnull(NEW.solved, 0) + 0.0 + ifnull(NEW.failed, 0)))
    WHERE id = NEW.id AND NEW.eta IS OLD.eta AND NEW.last_run IS NOT NULL AND NEW.run_status = 1
        AND ifnull(NEW.solved, 0) + 0.0 + ifnull(NEW.failed, 0) > 0;
END;

-- A command written into the row becomes a row of the ledger. The ledger writes back its number, by
-- which its own writes are told from those of others.
CREATE TRIGGER apps_command_update AFTER UPDATE OF cmd_name, cmd_flag ON apps
WHEN NEW.cmd_flag = 0 AND NEW.cmd_name IS NOT NULL AND NEW.cmd_id IS OLD.cmd_id
BEGIN
    INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_time, cmd_args)
    VALUES (
        coalesce(NEW.app, NEW.app_group || '/' || NEW.app_parent || '/' || NEW.app_name),
        NEW.cmd_name,
        coalesce(NEW.cmd_by, 'unknown'),
        coalesce(CASE WHEN NEW.cmd_time IS NOT OLD.cmd_time THEN strftime('%Y-%m-%dT%H:%M:%fZ', NEW.cmd_time) END,
                 strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        NEW.cmd_args);
END;

CREATE TRIGGER apps_command_insert AFTER INSERT ON apps
WHEN NEW.cmd_flag = 0 AND NEW.cmd_name IS NOT NULL AND NEW.cmd_id IS NULL
BEGIN
    INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_time, cmd_args)
    VALUES (
        coalesce(NEW.app, NEW.app_group || '/' || NEW.app_parent || '/' || NEW.app_name),
        NEW.cmd_name,
        coalesce(NEW.cmd_by, 'unknown'),
        coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', NEW.cmd_time), strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        NEW.cmd_args);
END;

CREATE TRIGGER commands_issued AFTER INSERT ON commands
BEGIN
    UPDATE apps SET cmd_id = NEW.id, cmd_name = NEW.cmd_name, cmd_flag = NEW.cmd_flag, cmd_by = NEW.cmd_by,
        cmd_time = NEW.cmd_time, cmd_exec = NEW.cmd_exec,
        -- The ledger has them now: a later command without arguments must not find these.
        cmd_args = NULL
    WHERE app = NEW.app_id
       OR (app IS NULL AND NEW.app_id = app_group || '/' || app_parent || '/' || app_name);
END;

-- The row of the app follows its latest command.
CREATE TRIGGER commands_verdict AFTER UPDATE OF cmd_flag ON commands WHEN NEW.cmd_flag <> 0
BEGIN
    UPDATE apps SET cmd_flag = NEW.cmd_flag, cmd_exec = NEW.cmd_exec WHERE cmd_id = NEW.id AND app = NEW.app_id;
END;
