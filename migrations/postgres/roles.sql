-- The roles of a fleet on a shared server. A superuser runs it, once and again after an upgrade if the
-- owner of the tables changed:
--
--     dcm db roles | psql -d DATABASE                      (or psql -d DATABASE -f roles.sql)
--     dcm db roles --schema public | psql -d DATABASE      where the tables are in another schema than dcm
--
-- Then each person and each manager gets a login of its own:
--
--     CREATE ROLE ana LOGIN PASSWORD '...' IN ROLE dcm_operator;
--
--   dcm_owner     owns the tables: migrates, registers and removes apps, sets limits. A row of `apps` is what hosts
--                 run, so its members are administrators.
--   dcm_manager   is a manager: claims and records runs, writes verdicts and alerts. Registers nothing.
--   dcm_operator  looks, sends commands, acknowledges alerts, lets managers drain. Writes no run, no verdict and no
--                 row of the ledger: commands go through dcm_submit(), which notes the login.
--   dcm_readonly  looks. Does not see `apps.env`. Other columns are no place for secrets.
--   dcm_worker    works on documents: notes how far one has come, and asks for its next stage. Nothing else.
--
-- It may be run before or after `dcm db migrate`, and as often as you like.

\set ON_ERROR_STOP on
\if :{?schema}
\else
    \set schema dcm
\endif

BEGIN;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['dcm_owner', 'dcm_manager', 'dcm_operator', 'dcm_readonly', 'dcm_worker'] LOOP
        IF to_regrole(name) IS NULL THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS :"schema" AUTHORIZATION dcm_owner;
ALTER SCHEMA :"schema" OWNER TO dcm_owner;
REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC;

-- What was there before belongs to it as well.
SELECT format('ALTER %s %I.%I OWNER TO dcm_owner',
    CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = :'schema' AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> 'dcm_owner'::regrole
    -- The sequences of columns follow their tables.
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
        AND deptype IN ('a', 'i'))
\gexec
SELECT format('ALTER ROUTINE %s OWNER TO dcm_owner', pg_proc.oid::regprocedure)
FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE nspname = :'schema' AND proname LIKE 'dcm\_%' AND proowner <> 'dcm_owner'::regrole
\gexec

-- So that every login finds the tables. In a database that other programs share, leave this out and say
-- options=-c%20search_path%3Ddcm in the URL.
SELECT format('ALTER DATABASE %I SET search_path = %I', current_database(), :'schema')
\gexec

SELECT format('SELECT %I.dcm_grant_roles()', :'schema')
WHERE to_regprocedure(quote_ident(:'schema') || '.dcm_grant_roles()') IS NOT NULL
\gexec

SELECT format('GRANT EXECUTE ON FUNCTION %I.dcm_prune(text, bigint, bigint, text, bigint) TO dcm_manager', :'schema')
WHERE to_regprocedure(quote_ident(:'schema') || '.dcm_prune(text, bigint, bigint, text, bigint)') IS NOT NULL
\gexec

COMMIT;
