-- Another program's next_run is known as such. A time without an offset is read in the zone of the session that writes
-- it, by the server, before anything of dcm sees it.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE OR REPLACE FUNCTION dcm_apps_next_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.asked_next_run := NEW.next_run;
    NEW.next_run_kind := 'asked';
    NEW.pause := NULL;
    RETURN NEW;
END
$$;

UPDATE dcm_schema SET version = 9;
