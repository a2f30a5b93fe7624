-- What is called after the runs of an app.
ALTER TABLE apps ADD COLUMN ping_url TEXT CHECK (length(ping_url) <= 2000);
