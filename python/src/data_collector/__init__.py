"""For apps that dcm, the Data Collector Manager, runs.

An app needs none of this: dcm starts any program. It makes an app of a function::

    from data_collector import report, run

    def init(runtime, args=None):
        items = load(args)
        report(task_size=len(items))
        for done, item in enumerate(items, 1):
            collect(item)
            report(solved=done)

    if __name__ == "__main__":
        run(init)

The same file runs under dcm, under Airflow and by hand. This module depends on nothing but the standard library.
Document workers are in :mod:`data_collector.pipeline`, the operator for Airflow in :mod:`data_collector.airflow`.
"""

from ._app import Stopped, count_exception, run, stopping, wait
from ._identity import Run, app_id, current
from ._report import report

__version__ = "0.1.0"

__all__ = ["Run", "Stopped", "app_id", "count_exception", "current", "report", "run", "stopping", "wait"]
