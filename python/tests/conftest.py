"""What the tests share: apps as processes, and the dcm that was built beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: A generous limit for whatever is waited for: a busy machine is slow, a hanging test is wrong.
LIMIT = 60.0


def until(what: str, condition: Callable[[], Any]) -> Any:
    """Waits until a condition holds, and gives back what it says."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {LIMIT:.0f} s in vain: {what}")


def environment(folder: Path, **env: str) -> dict[str, str]:
    """The variables of this process, without what tells dcm of this host's own fleet: the state goes to a folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DC_")}
    return clean | {"DC_STATE_DIR": str(folder / "state"), "DC_CONFIG": os.devnull} | env


class App:
    """An app written for a test, run as dcm would: as a process with pipes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, *args: str, managed: bool = True, **env: str) -> subprocess.Popen[bytes]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("DC_", "PYTHON"))}
        if managed:
            clean |= {"DC_RUNTIME": "0123456789abcdef0123456789abcdef"}
        return subprocess.Popen(
            [sys.executable, self.path, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean | env,
        )

    def run(self, *args: str, managed: bool = True, **env: str) -> Ran:
        process = self.start(*args, managed=managed, **env)
        out, err = process.communicate(timeout=LIMIT)
        return Ran(process.returncode, out.decode(), err.decode())


class Ran:
    """How an app ended, and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.err = code, err
        lines = out.splitlines()
        self.printed = [line for line in lines if not line.startswith("::dcm ")]
        self.reports = [json.loads(line.removeprefix("::dcm ")) for line in lines if line.startswith("::dcm ")]


@pytest.fixture
def app(tmp_path: Path) -> Callable[[str], App]:
    def write(text: str) -> App:
        path = tmp_path / "main.py"
        path.write_text(textwrap.dedent(text))
        return App(path)

    return write


@pytest.fixture(scope="session")
def dcm() -> Path:
    """The program itself."""
    program = Path(os.environ.get("DCM_TEST_PROGRAM", ROOT / "target" / "debug" / "dcm"))
    if not program.exists():
        pytest.fail(f"{program} is missing: cargo build makes it")
    return program
