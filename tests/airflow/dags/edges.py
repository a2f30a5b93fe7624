"""DAGs for what goes wrong. Airflow 3 runs only those that it finds in files."""

from datetime import datetime, timedelta, timezone

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

from data_collector.airflow import DataCollectorOperator


def new_dag(name):
    return DAG(name, schedule=None, start_date=datetime(2025, 1, 1, tzinfo=timezone.utc))


def operator(path, task_id, **options):
    group, parent, name = path.split("/")
    return DataCollectorOperator(task_id=task_id, app_group=group, app_parent=parent, app_name=name, **options)


with new_dag("edges") as edges:
    operator("t/fails/three", "three")
    operator("t/fails/seventyfive", "seventyfive", on_refused="skip")
    operator("t/refused/disabled", "skipped", on_refused="skip")
    operator("t/refused/disabled", "refused")
    operator("t/no/such", "missing")
    operator("t/args/given", "args", args={"day": "{{ '2025-01-01' }}"})

with new_dag("killed_slow") as killed_slow:
    operator("t/killed/slow", "killed", stop_grace=60.0)

with new_dag("killed_deaf") as killed_deaf:
    operator("t/killed/deaf", "killed", stop_grace=2.0)

with new_dag("late") as late:
    operator("t/killed/late", "late", execution_timeout=timedelta(seconds=2))
