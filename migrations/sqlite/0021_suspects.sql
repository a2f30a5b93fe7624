-- What a run with exit code 0 is expected to have done; one that did not is suspect.

-- Rules of the app's own. Minutes, items, a share from 0 to 1, seconds.
ALTER TABLE apps ADD COLUMN stall_after REAL;
ALTER TABLE apps ADD COLUMN min_solved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE apps ADD COLUMN max_failed_ratio REAL;
ALTER TABLE apps ADD COLUMN min_duration REAL;
-- Whether a run is compared with the good ones before it.
ALTER TABLE apps ADD COLUMN compare_history INTEGER NOT NULL DEFAULT 1;
-- continue or retry.
ALTER TABLE apps ADD COLUMN on_suspect TEXT NOT NULL DEFAULT 'continue';

-- Suspect runs since the last good one.
ALTER TABLE apps ADD COLUMN suspects INTEGER NOT NULL DEFAULT 0;
-- What the last good runs did: seconds/items of each, oldest first; behind the semicolon the runs since that differ.
ALTER TABLE apps ADD COLUMN baseline TEXT;
-- What flag 3 is about: failures, suspect, stalled. Null: failures.
ALTER TABLE apps ADD COLUMN fatal_cause TEXT;
