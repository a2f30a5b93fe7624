-- How the process of an app is started and ended beyond its command, and what people know about it.

-- Files of variables that are read at each start, before env: a JSON array of paths. Null: none.
ALTER TABLE apps ADD COLUMN env_files TEXT;
-- The user that it runs as, by name or number. Null: that of the manager.
ALTER TABLE apps ADD COLUMN run_user TEXT;
-- -20 to 19. Null: that of the manager, as for the ones below.
ALTER TABLE apps ADD COLUMN nice INTEGER;
-- Octal digits.
ALTER TABLE apps ADD COLUMN umask TEXT;
-- Limits of each process, and of all processes of its user.
ALTER TABLE apps ADD COLUMN max_open_files INTEGER;
ALTER TABLE apps ADD COLUMN max_processes INTEGER;
-- What asks it to end: TERM, INT, HUP, QUIT, USR1, USR2 or KILL.
ALTER TABLE apps ADD COLUMN stop_signal TEXT NOT NULL DEFAULT 'TERM';

-- Who looks after it.
ALTER TABLE apps ADD COLUMN owner TEXT CHECK (length(owner) <= 200);
-- Words by which it is found: a JSON array. Null: none.
ALTER TABLE apps ADD COLUMN tags TEXT;
