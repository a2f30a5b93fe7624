"""A fleet with the apps of examples/airflow, and an Airflow of its own beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 120.0

# Airflow reads these when it is imported.
HOME = Path(tempfile.mkdtemp(prefix="dcm-airflow-home-"))
DAGS = HOME / "dags"
DAGS.mkdir()
for place in ("examples/airflow/dags", "tests/airflow/dags"):
    for file in (ROOT / place).glob("*.py"):
        shutil.copy(file, DAGS)
sys.path.insert(0, str(DAGS))
os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(DAGS),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
)


def until(what: str, condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {LIMIT:.0f} s in vain: {what}")


class Fleet:
    """dcm on a database of its own, and the apps of the example."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "examples/airflow", folder, dirs_exist_ok=True)
        self.program = ROOT / "target/debug/dcm"
        os.environ.update(
            DC_STATE_DIR=str(folder / "state"),
            DC_CONFIG=os.devnull,
            VIRTUAL_ENV=sys.prefix,
            PATH=f"{self.program.parent}:{os.environ['PATH']}",
        )
        self("app", "import", str(folder / "fleet.toml"))

    def __call__(self, *args: str) -> str:
        done = subprocess.run([self.program, *args], capture_output=True, text=True, timeout=LIMIT, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add(self, name: str, text: str, *options: str) -> str:
        """An app in shell."""
        self("app", "add", name, "--enable", *options, "--", "sh", "-c", text)
        return name

    def runs(self, path: str) -> list[dict[str, Any]]:
        return json.loads(self("history", path, "--json"))


@pytest.fixture(scope="session")
def airflow() -> Iterator[None]:
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    yield
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, airflow: None) -> Fleet:
    return Fleet(tmp_path_factory.mktemp("fleet"))
