-- Apps without a schedule that are to run all the time.

-- Whether the app runs without end: it is started again whenever it ends.
ALTER TABLE apps ADD COLUMN always INTEGER NOT NULL DEFAULT 0;
-- A run that lived for this many seconds has started.
ALTER TABLE apps ADD COLUMN min_uptime REAL NOT NULL DEFAULT 1;
