"""Servers of the system's packages, each of the tests' own: in a temporary directory, on ports of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

#: How long one may take to start on a busy machine, in seconds.
STARTS_WITHIN = 180.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """Programs that run as the user of their package where the tests are root's."""

    def __init__(self, user: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"dcm-{user}-"))
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            self._as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
        self._user = user
        self._processes: list[subprocess.Popen[bytes]] = []

    def own(self) -> None:
        """What was made in the folder is the user's."""
        if self._as_user:
            subprocess.run(["chown", "-R", f"{self._user}:", self.folder], check=True)

    def call(self, *command: str | Path, **env: str) -> None:
        subprocess.run([*self._as_user, *command], cwd=self.folder, env=self.env() | env, check=True, stdout=subprocess.DEVNULL)

    def spawn(self, *command: str | Path) -> None:
        with (self.folder / "out.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [*self._as_user, *command],
                    cwd=self.folder,
                    env=self.env(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def env(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"] + ":/usr/sbin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    def await_port(self, port: int) -> None:
        end = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                log = (self.folder / "out.log").read_text(errors="replace")
                assert time.monotonic() < end, f"it does not start: {log}"
                time.sleep(0.05)

    def kill(self) -> None:
        for process in self._processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self._processes = []

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Rabbit(Server):
    def __init__(self) -> None:
        super().__init__("rabbitmq")
        self.port, self._distribution, self._epmd = free_port(), free_port(), free_port()
        (self.folder / "enabled_plugins").write_text("[].")
        self.own()
        self.start()

    def start(self) -> None:
        self.spawn("epmd", "-port", str(self._epmd))
        self.spawn("/usr/lib/rabbitmq/bin/rabbitmq-server")
        self.await_port(self.port)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2f"

    def env(self) -> dict[str, str]:
        place = str(self.folder)
        return super().env() | {
            "RABBITMQ_NODENAME": f"py{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": f"{place}/mnesia",
            "RABBITMQ_LOG_BASE": f"{place}/log",
            "RABBITMQ_PID_FILE": f"{place}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{place}/enabled_plugins",
            "RABBITMQ_CONFIG_FILE": f"{place}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{place}/generated",
            "RABBITMQ_SCHEMA_DIR": f"{place}/schema",
            "RABBITMQ_FEATURE_FLAGS_FILE": f"{place}/feature_flags",
            "RABBITMQ_PLUGINS_EXPAND_DIR": f"{place}/plugins",
        }


class Postgres(Server):
    def __init__(self) -> None:
        super().__init__("postgres")
        self.port = free_port()
        self._bin = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.own()
        self.call(self._bin / "initdb", "-D", "data", "-U", "dcm", "-A", "trust", "-N")
        self.start()

    def start(self) -> None:
        self.spawn(
            self._bin / "postgres", "-D", "data", "-p", str(self.port), "-k", self.folder, "-h", "127.0.0.1", "-c", "fsync=off"
        )
        self.await_port(self.port)
        # After a crash it takes connections before it answers.
        ready = [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        end = time.monotonic() + STARTS_WITHIN
        while subprocess.run(ready, check=False).returncode != 0:
            assert time.monotonic() < end, "it does not answer"
            time.sleep(0.05)

    @property
    def url(self) -> str:
        return f"postgres://dcm@127.0.0.1:{self.port}/postgres"
