-- Where apps come from, and that an app can be renamed with all of its history.

-- The file that `dcm app import` read it from, if it did; `--prune` removes only what came from the same file.
ALTER TABLE apps ADD COLUMN origin TEXT;

-- The interpreter that a manager gives to apps without a command of their own.
ALTER TABLE managers ADD COLUMN python TEXT;

-- A closed run is never changed, but for the app that it belongs to, which may be renamed.
DROP TRIGGER runtime_closed;
CREATE TRIGGER runtime_closed BEFORE UPDATE OF runtime, start_time, end_time, totals, totalm, totalh, except_cnt, exit_code,
    signal, outcome, task_size, solved, failed, message, trigger, due_time, attempt, command_id, manager, pid, leftovers
ON runtime WHEN OLD.end_time IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a closed run is never changed');
END;
