-- An alert may be about the fleet: then it names no app.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

ALTER TABLE alerts
    -- Null: the fleet.
    ALTER COLUMN app_id DROP NOT NULL,
    -- Of an alert about the fleet: the manager that alone sees the trouble; null where all of them see it.
    ADD COLUMN manager text;

-- An episode of the fleet is on record once, however often its commit is repeated, and while it is open no other of its
-- kind and cause begins, though several managers see it.
CREATE UNIQUE INDEX alerts_fleet ON alerts (kind, cause, coalesce(manager, ''), runtime) WHERE app_id IS NULL;
CREATE UNIQUE INDEX alerts_fleet_open ON alerts (kind, cause, coalesce(manager, ''))
    WHERE app_id IS NULL AND closed IS NULL;

UPDATE dcm_schema SET version = 19;
