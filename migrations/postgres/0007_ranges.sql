-- Numbers that a program wrote at the end of their range stop nobody who counts on from there.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE OR REPLACE FUNCTION dcm_apps_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.epoch := least(NEW.epoch, 9223372036854775806) + 1;
    NEW.owned_since := NEW.revision;
    RETURN NEW;
END
$$;

UPDATE dcm_schema SET version = 7;
