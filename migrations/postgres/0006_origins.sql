-- Where apps come from, and that an app can be renamed with all of its history.

ALTER TABLE apps
    -- The file that `dcm app import` read it from, if it did; `--prune` removes only what came from the same file.
    ADD COLUMN origin text;

ALTER TABLE managers
    -- The interpreter that a manager gives to apps without a command of their own.
    ADD COLUMN python text;

-- A closed run is never changed, but for the app that it belongs to, which may be renamed.
DROP TRIGGER runtime_closed ON runtime;
CREATE TRIGGER runtime_closed BEFORE UPDATE OF runtime, start_time, end_time, totals, totalm, totalh, except_cnt, exit_code,
    signal, outcome, task_size, solved, failed, message, trigger, due_time, attempt, command_id, manager, pid, leftovers, id
ON runtime FOR EACH ROW WHEN (OLD.end_time IS NOT NULL) EXECUTE FUNCTION dcm_refuse('a closed run is never changed');

UPDATE dcm_schema SET version = 6;
