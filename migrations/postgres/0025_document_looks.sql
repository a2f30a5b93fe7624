-- Screens count what came to a stage and left it within a time, which takes when a document came of what is done as well.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

DROP INDEX pipeline_task_finished;
CREATE INDEX pipeline_task_finished ON pipeline_task (finished, stage, status, started, created)
    WHERE finished IS NOT NULL;

UPDATE dcm_schema SET version = 25;
