"""The operator in a real Airflow: the DAG of the example, failures, refusals, the end of a task."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from conftest import Fleet, until


def run(dag) -> tuple[dict[str, str], dict[str, Any]]:
    """States of the tasks, and their XComs."""
    dag_run = dag.test()
    tasks = {task.task_id: task for task in dag_run.get_task_instances()}
    states = {name: str(task.state) for name, task in tasks.items()}
    results = {name: task.xcom_pull(task_ids=name) for name, task in tasks.items() if states[name] == "success"}
    return states, results


def test_the_dag_of_the_example(fleet: Fleet):
    from croatia_fina import dag

    states, results = run(dag)
    assert states == {"companies": "success", "jrr_api": "success", "koncesije": "success"}
    for name, told in {
        "companies": {"task_size": 20, "solved": 20, "failed": 0, "except_cnt": 0},
        "jrr_api": {"task_size": 30, "solved": 27, "failed": 3, "except_cnt": 3},
        "koncesije": {"task_size": 20, "solved": 20, "failed": 0, "message": "18 with an account"},
    }.items():
        result = results[name]
        assert {key: result[key] for key in told} == told
        (row,) = fleet.runs(f"croatia/fina/{name}")
        assert (result["runtime"], result["exit_code"], result["outcome"]) == (row["runtime"], 0, "ok")
        assert row["trigger"] == "run-app"
    begun = {name: result["start_time"] for name, result in results.items()}
    ended = {name: result["end_time"] for name, result in results.items()}
    assert begun["koncesije"] > max(ended["companies"], ended["jrr_api"])


def test_the_same_apps_under_the_manager(fleet: Fleet):
    manager = subprocess.Popen([fleet.program, "--headless"], stderr=subprocess.DEVNULL)
    try:
        for name in ("companies", "jrr_api", "koncesije"):
            path = f"croatia/fina/{name}"
            fleet("start", path, "--wait")
            row = until(
                f"a run of {path}",
                lambda path=path: next(
                    (run for run in fleet.runs(path) if run["trigger"] == "command" and run["end_time"]), None
                ),
            )
            assert (row["outcome"], row["exit_code"]) == ("ok", 0)
    finally:
        manager.terminate()
        manager.wait(60)


def test_what_fails_and_what_is_refused(fleet: Fleet):
    from edges import edges

    fleet.add("t/fails/three", "echo before; echo why it failed >&2; exit 3")
    fleet.add("t/fails/seventyfive", "exit 75")
    fleet("app", "add", "t/refused/disabled", "--", "true")
    fleet.add("t/args/given", """test "$1" = '{"day": "2025-01-01"}'""")
    states, _ = run(edges)
    assert states == {
        "three": "failed",
        # It is the app's own code, and no refusal.
        "seventyfive": "failed",
        "skipped": "skipped",
        "refused": "failed",
        "missing": "failed",
        "args": "success",
    }


@pytest.mark.parametrize(
    ("path", "options", "error", "says"),
    [
        ("t/kinds/fails", {}, "AirflowException", "exit code 3.*why it failed"),
        ("t/kinds/disabled", {"on_refused": "retry"}, "AirflowException", "disabled"),
        ("t/kinds/disabled", {"on_refused": "skip"}, "AirflowSkipException", "disabled"),
        ("t/kinds/disabled", {"on_refused": "fail"}, "AirflowFailException", "disabled"),
        ("t/kinds/missing", {}, "AirflowFailException", "no such app"),
        ("t/kinds/missing", {"dcm": "/no/such"}, "AirflowFailException", "cannot be started"),
        ("t/kinds/fails", {"database": "mysql://ana:hunter2@db"}, "AirflowFailException", "unknown kind of database"),
    ],
)
def test_which_errors_are_worth_another_try(fleet: Fleet, path, options, error, says):
    from edges import operator

    if "t/kinds/fails" not in fleet("app", "list", "--json"):
        fleet.add("t/kinds/fails", "echo why it failed >&2; exit 3")
        fleet("app", "add", "t/kinds/disabled", "--", "true")
    with pytest.raises(Exception, match=f"(?s){says}") as caught:
        operator(path, "one", **options).execute({})
    assert type(caught.value).__name__ == error
    assert "hunter2" not in str(caught.value)


def test_a_disabled_app_by_force(fleet: Fleet):
    from edges import operator

    fleet("app", "add", "t/forced/disabled", "--", "true")
    result = operator("t/forced/disabled", "one", force=True).execute({})
    assert (result["outcome"], result["exit_code"], result["path"]) == ("ok", 0, "t/forced/disabled")


def test_a_wrong_option_is_refused_when_the_dag_is_read(airflow):
    from edges import operator

    with pytest.raises(ValueError, match="retry, skip, fail"):
        operator("a/b/c", "one", on_refused="ignore")


# What ends takes its time, and writes more than a pipe holds.
SLOW = "trap 'seq 30000; echo cleaned up; exit 9' TERM; touch begun; while :; do sleep 0.1; done"
DEAF = "trap '' TERM; touch begun; while :; do sleep 0.1; done"


@pytest.mark.parametrize(("name", "text", "codes"), [("slow", SLOW, [9]), ("deaf", DEAF, [None, 137])])
def test_a_task_that_is_killed_ends_its_app(fleet: Fleet, tmp_path: Path, name, text, codes):
    import edges

    path = fleet.add(f"t/killed/{name}", text, "--cwd", str(tmp_path))

    def kill() -> None:
        until("the app runs", (tmp_path / "begun").exists)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    threading.Thread(target=kill, daemon=True).start()
    try:
        states, _ = run(getattr(edges, f"killed_{name}"))
    except BaseException as error:  # Airflow 2 ends dag.test() with it
        assert "Terminated" in type(error).__name__, repr(error)
    else:
        assert states == {"killed": "failed"}
    finally:
        signal.signal(signal.SIGTERM, before)
    (row,) = fleet.runs(path)
    assert row["exit_code"] in codes and row["end_time"]


def test_a_task_that_takes_too_long_ends_its_app(fleet: Fleet):
    from edges import late

    path = fleet.add("t/killed/late", "exec sleep 600")
    try:
        states, _ = run(late)
    except BaseException as error:  # Airflow 2 ends dag.test() with it
        assert type(error).__name__ == "AirflowTaskTimeout", repr(error)
    else:
        assert states == {"late": "failed"}
    (row,) = fleet.runs(path)
    assert row["exit_code"] == 143 and row["end_time"]
