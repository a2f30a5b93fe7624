-- A server's writers wait for no other writer but of the same row (migrations/postgres). An embedded database has one
-- writer at a time, and nothing changes.
SELECT 1;
