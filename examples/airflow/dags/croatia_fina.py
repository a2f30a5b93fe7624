"""Two apps in parallel, then a third that needs what both of them collected.

The apps are registered with dcm, as dcm app import ../fleet.toml does it, and run on the worker of each task. Where dcm keeps them is said by
DC_DATABASE_URL and DC_STATE_DIR, and on the PATH is dcm itself.
"""

from datetime import datetime, timezone

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG

from data_collector.airflow import DataCollectorOperator

with DAG(
    "croatia_fina",
    schedule="*/30 * * * *",
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    catchup=False,
) as dag:
    companies = DataCollectorOperator(
        task_id="companies", app_group="croatia", app_parent="fina", app_name="companies", args={"only": 20}
    )
    jrr_api = DataCollectorOperator(
        task_id="jrr_api", app_group="croatia", app_parent="fina", app_name="jrr_api"
    )
    koncesije = DataCollectorOperator(
        task_id="koncesije", app_group="croatia", app_parent="fina", app_name="koncesije"
    )
    [companies, jrr_api] >> koncesije
