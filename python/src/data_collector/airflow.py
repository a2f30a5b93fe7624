"""Runs apps of dcm as tasks of Airflow, 2.11 and 3::

    from data_collector.airflow import DataCollectorOperator

    companies = DataCollectorOperator(
        task_id="companies", app_group="croatia", app_parent="fina", app_name="companies"
    )

The app is the same that dcm's manager runs, and is on dcm's record: its run, progress, log.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

try:
    from airflow.sdk import BaseOperator
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
except ImportError:
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
    from airflow.models.baseoperator import BaseOperator

OnRefused = Literal["retry", "skip", "fail"]

# The exit code of `dcm run-app` when it does not run the app now: it runs already, is disabled, given up or locked.
_REFUSED = 75
# Those that trying again does not mend: wrong use or configuration, no such app.
_HOPELESS = (2, 4)
# How many of a run's last lines are in the message of its failure.
_LINES = 10


class DataCollectorOperator(BaseOperator):  # type: ignore[misc,unused-ignore]
    """Runs an app once by ``dcm run-app``, on the worker of the task, and gives back its run as XCom.

    The output of the app is the task's log. The result has the fields of ``dcm history --json``: ``runtime``, ``outcome``,
    ``exit_code``, ``task_size``, ``solved``, ``failed``, ``except_cnt``, ``message`` and the times. A run that failed fails the
    task, and Airflow's ``retries`` apply. An app that does not exist, and what dcm refuses to understand, is not retried.

    When the task is killed or takes longer than ``execution_timeout``, the app gets TERM, and ``stop_grace`` seconds
    later all of its processes are killed.

    :param app_group: first part of the app's path (templated, as are the next three)
    :param app_parent: second part
    :param app_name: third part
    :param args: arguments of the app: anything that JSON has
    :param on_refused: what becomes of the task when dcm does not run the app now, since it runs already, is disabled, given up
        or locked: ``retry`` (fails, and Airflow tries again), ``skip`` or ``fail`` (without another try)
    :param force: also run an app that is disabled or was given up
    :param dcm: the program, if it is not on the PATH
    :param database: dcm's URL of the database; without it the environment of the worker decides (``DC_DATABASE_URL``), as for
        dcm itself. It is handed over by the environment, where others do not see its password.
    :param env: further variables for dcm, such as ``DC_STATE_DIR``, ``DC_CONFIG`` or ``VIRTUAL_ENV``
    :param cwd: the directory to start in; apps without a ``cwd`` of their own are found from there
    :param stop_grace: seconds between TERM and KILL
    """

    template_fields: Sequence[str] = ("app_group", "app_parent", "app_name", "args", "cwd")
    ui_color = "#d5e8d4"

    def __init__(
        self,
        *,
        app_group: str,
        app_parent: str,
        app_name: str,
        args: Any = None,
        on_refused: OnRefused = "retry",
        force: bool = False,
        dcm: str = "dcm",
        database: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stop_grace: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_refused not in get_args(OnRefused):
            raise ValueError(f"on_refused is one of {', '.join(get_args(OnRefused))}, not {on_refused!r}")
        self.app_group = app_group
        self.app_parent = app_parent
        self.app_name = app_name
        self.args = args
        self.on_refused = on_refused
        self.force = force
        self.dcm = dcm
        self.database = database
        self.env = env
        self.cwd = cwd
        self.stop_grace = stop_grace
        self._run: _Run | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        path = f"{self.app_group}/{self.app_parent}/{self.app_name}"
        env = {**os.environ, **(self.env or {})}
        if self.database is not None:
            env["DC_DATABASE_URL"] = self.database
        with tempfile.TemporaryDirectory(prefix="dcm-airflow-") as folder:
            result = Path(folder, "run.json")
            command = [self.dcm, "run-app", path, "--result", str(result)]
            if self.args is not None:
                command += ["--args", json.dumps(self.args)]
            if self.force:
                command.append("--force")
            self.log.info("running %s", path)
            try:
                self._run = _Run(command, env, self.cwd)
            except OSError as error:
                raise AirflowFailException(f"{self.dcm} cannot be started: {error}") from error
            try:
                code, last = self._run.follow(self.log.info)
            except BaseException:
                # A timeout, or Airflow 2 when the task is killed.
                self.on_kill()
                raise
            run = json.loads(result.read_text()) if result.exists() else {}
        return self._judge(path, code, run, last)

    def on_kill(self) -> None:
        """Ends the app."""
        if self._run is not None:
            self._run.stop(self.stop_grace)

    def _judge(self, path: str, code: int, run: dict[str, Any], last: str) -> dict[str, Any]:
        if self._run is not None and self._run.is_stopped:
            raise AirflowException(f"{path} was stopped")
        if run:
            outcome = run.get("outcome")
            self.log.info("%s: %s, exit code %s, run %s", path, outcome, run.get("exit_code"), run.get("runtime"))
            if outcome == "suspect":
                self.log.warning("%s ended well, but is suspect: %s", path, run.get("message"))
            if code == 0:
                return run
            raise AirflowException(f"{path} failed: {outcome}, exit code {code}, run {run.get('runtime')}\n{last}")
        # It was not run.
        if code == _REFUSED:
            message = f"dcm does not run {path} now: {last}"
            if self.on_refused == "skip":
                raise AirflowSkipException(message)
            if self.on_refused == "fail":
                raise AirflowFailException(message)
            raise AirflowException(message)
        if code in _HOPELESS:
            raise AirflowFailException(f"dcm cannot run {path}: {last}")
        raise AirflowException(f"how {path} ended is not on record: exit code {code}\n{last}")


class _Run:
    """``dcm run-app`` as a child of the task."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: str | None) -> None:
        # A group of its own: what is sent to that of the task must not reach the app twice, since dcm kills an app that is
        # asked to end twice.
        self._process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self.is_stopped = False

    def follow(self, log: Any) -> tuple[int, str]:
        """Hands on its output line by line; gives back its exit code and the last lines."""
        last: deque[str] = deque(maxlen=_LINES)

        def drain() -> None:
            assert self._process.stdout is not None
            with self._process.stdout as output:
                for line in output:
                    last.append(line.decode(errors="replace").rstrip("\r\n"))
                    log("%s", last[-1])

        # Read by a thread, since Airflow 3 calls on_kill() in the middle of this one: what the app writes while it ends must
        # be taken, and a wait for the process would keep that from waiting.
        thread = threading.Thread(target=drain, name="dcm-output")
        thread.start()
        thread.join()
        while (code := self._process.poll()) is None:
            time.sleep(0.02)
        # Ended by a signal: as a shell says it.
        return (code if code >= 0 else 128 - code), "\n".join(last)

    def stop(self, grace: float) -> None:
        """TERM, which dcm passes on; when it comes again, dcm kills the whole run and puts that on record."""
        if not self._lock.acquire(blocking=False):
            return  # the signal handler of a task that is being killed
        try:
            self.is_stopped = True
            for _ in range(2):
                if self._process.poll() is not None:
                    return
                self._process.send_signal(signal.SIGTERM)
                try:
                    self._process.wait(grace)
                    return
                except subprocess.TimeoutExpired:
                    pass
            self._process.kill()
        finally:
            self._lock.release()
