"""The same app under dcm, and by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import LIMIT, environment

APP = """
from data_collector import count_exception, current, report, run

def init(runtime, args=None):
    print("of", current().path or "nobody", "with", args)
    report(task_size=4, message="begun")
    for item in range(1, 5):
        print("item", item)
        report(solved=item)
    try:
        raise LookupError("one of four")
    except LookupError:
        count_exception()

if __name__ == "__main__":
    run(init)
"""


@pytest.fixture
def fleet(dcm, tmp_path):
    """Calls dcm on a fleet of its own."""
    (tmp_path / "apps/croatia/fina/companies").mkdir(parents=True)
    (tmp_path / "apps/croatia/fina/companies/main.py").write_text(APP)
    env = environment(tmp_path, VIRTUAL_ENV=sys.prefix)

    def call(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [dcm, *args], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    call("app", "add", "croatia/fina/companies", "--enable")
    return call


def test_a_run_of_the_default_command(fleet, tmp_path: Path):
    done = fleet("run-app", "croatia/fina/companies", "--args", '{"only": 2}')
    assert done.stdout.splitlines() == [
        "of croatia/fina/companies with {'only': 2}",
        *(f"item {item}" for item in range(1, 5)),
    ]
    assert "LookupError: one of four" in done.stderr
    (run,) = json.loads(fleet("history", "croatia/fina/companies", "--json").stdout)
    told = {name: run[name] for name in ("task_size", "solved", "failed", "except_cnt", "exit_code", "outcome", "message")}
    assert told == {
        "task_size": 4,
        "solved": 4,
        "failed": 0,
        "except_cnt": 1,
        "exit_code": 0,
        "outcome": "ok",
        "message": "begun",
    }


def test_the_same_app_by_hand(tmp_path: Path, fleet):
    env = {name: value for name, value in os.environ.items() if not name.startswith("DC_")}
    done = subprocess.run(
        [sys.executable, "-m", "apps.croatia.fina.companies.main"],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[0] == "of nobody with None"


def test_the_key_is_that_of_dcm(fleet):
    from data_collector import app_id

    shown = json.loads(fleet("app", "show", "croatia/fina/companies", "--json").stdout)
    row = shown[0] if isinstance(shown, list) else shown
    assert row["app"] == app_id("croatia", "fina", "companies")
