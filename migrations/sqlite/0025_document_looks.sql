-- Screens count what came to a stage and left it within a time, which takes when a document came of what is done as well.
DROP INDEX pipeline_task_finished;
CREATE INDEX pipeline_task_finished ON pipeline_task (finished, stage, status, started, created)
    WHERE finished IS NOT NULL;
