-- What the processes of an app use, and the most that they may use.

-- In MiB, of all processes of a run together; null: no limit.
ALTER TABLE apps ADD COLUMN max_memory INTEGER;
-- In percent of one core, of all processes of a run together; null: no limit.
ALTER TABLE apps ADD COLUMN max_cpu INTEGER;
-- Resident memory of the processes of the run under way, in bytes. Null: none is, or it is not known.
ALTER TABLE apps ADD COLUMN memory INTEGER;
-- Their share of the CPU since the sample before, in percent of one core.
ALTER TABLE apps ADD COLUMN cpu REAL;
-- The largest sample of their memory in the current or last run, in bytes.
ALTER TABLE apps ADD COLUMN memory_peak INTEGER;

-- The largest sample of its memory, in bytes; null for a run that ended before it was looked at.
ALTER TABLE runtime ADD COLUMN memory_peak INTEGER;
