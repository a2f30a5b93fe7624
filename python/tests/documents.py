"""A database of dcm with documents, seen as its manager sees it, and workers as processes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pika
import psycopg

from conftest import until

PENDING, SENT, RUNNING, DONE, FAILED, DEAD = range(6)


class Documents:
    """Rows of documents, and the messages that the manager would publish for them."""

    def __init__(self, database: str, broker: str) -> None:
        self.database, self.broker = database, broker
        self._connection = pika.BlockingConnection(pika.URLParameters(broker))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()

    def sql(self, statement: str, *values: object) -> list[Any]:
        if self.database.startswith("sqlite:"):
            connection = sqlite3.connect(self.database.removeprefix("sqlite:"), timeout=60)
            try:
                with connection:
                    return connection.execute(statement.replace("%s", "?"), values).fetchall()
            finally:
                connection.close()
        with psycopg.connect(self.database) as server, server.cursor() as rows:
            rows.execute(statement, values)
            return rows.fetchall() if rows.description else []

    def add(self, path: str | bytes, topic: str = "invoices.new", actor: str = "extract", queue: str = "work") -> int:
        """A document that was seen, and is at its first stage."""
        odd = path if isinstance(path, bytes) else None
        shown = path if isinstance(path, str) else path.decode("utf-8", "backslashreplace")
        ((event,),) = self.sql(
            "INSERT INTO events (root, path, path_bytes, size, sha3, seen, topic, app_group) "
            "VALUES ('in', %s, %s, 1, 'aa', '2026-11-23T14:02:11.123Z', %s, 'croatia') RETURNING id",
            shown,
            odd,
            topic,
        )
        ((task,),) = self.sql(
            "INSERT INTO pipeline_task (event_id, document, topic, stage, actor, queue, message_id) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
            event, shown, topic, actor, actor, queue, str(uuid.uuid4()),
        )  # fmt: skip
        return int(task)

    def publish(self, task: int, **other: Any) -> None:
        """As the manager does."""
        ((document, topic, actor, queue, message_id),) = self.sql(
            "SELECT document, topic, actor, queue, message_id FROM pipeline_task WHERE id = %s", task
        )
        message = {
            "queue_name": queue,
            "actor_name": actor,
            "args": [{"task": task, "path": document, "topic": topic, "sha3": "aa", "group": "croatia"}],
            "kwargs": {},
            "options": {},
            "message_id": message_id,
            "message_timestamp": int(time.time() * 1000),
        } | other
        self.put(queue, message)
        self.sql("UPDATE pipeline_task SET status = 1 WHERE id = %s AND status = 0", task)

    def put(self, queue: str, message: dict[str, Any]) -> None:
        """Publishes any message."""
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{queue}.XQ"}
        for name in (queue, f"{queue}.DQ"):
            self._channel.queue_declare(name, durable=True, arguments=arguments)
        self._channel.queue_declare(f"{queue}.XQ", durable=True, arguments={"x-message-ttl": 604_800_000})
        body = json.dumps(message).encode()
        self._channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)

    def dead_messages(self, queue: str = "work") -> list[Any]:
        found = []
        while (taken := self._channel.basic_get(f"{queue}.XQ", auto_ack=True))[0] is not None:
            found.append(json.loads(taken[2]))
        return found

    def row(self, task: int) -> dict[str, Any]:
        names = ["status", "attempts", "started", "finished", "error", "parent", "topic", "event_id", "document"]
        ((*values,),) = self.sql(f"SELECT {', '.join(names)} FROM pipeline_task WHERE id = %s", task)
        return dict(zip(names, values))

    def await_status(self, task: int, status: int) -> dict[str, Any]:
        until(f"task {task} has status {status}: {self.row(task)}", lambda: self.row(task)["status"] == status)
        return self.row(task)

    def after(self, task: int) -> list[tuple[int, str, int]]:
        """The stages that a task asked for: id, topic, status."""
        return [tuple(row) for row in self.sql("SELECT id, topic, status FROM pipeline_task WHERE parent = %s ORDER BY id", task)]

    def close(self) -> None:
        self._connection.close()


HEAD = """
import os, sys, time
from pathlib import Path
import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from data_collector.pipeline import BaseWorker, Document, PipelineMiddleware

broker = RabbitmqBroker(url=os.environ["BROKER"])
broker.add_middleware(PipelineMiddleware(patience=float(os.environ.get("PATIENCE", "60"))))
dramatiq.set_broker(broker)
HERE = Path(__file__).parent

def note(name, text):
    with open(HERE / name, "a") as file:
        print(text, file=file)
"""


class Workers:
    """A module of actors in a worker process of Dramatiq's own command."""

    def __init__(self, folder: Path, documents: Documents, text: str, threads: int = 2, **env: str) -> None:
        self.folder = folder
        (folder / "workers.py").write_text(HEAD + textwrap.dedent(text))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DC_")}
        clean |= {"DC_DATABASE_URL": documents.database, "BROKER": documents.broker, "PYTHONDONTWRITEBYTECODE": "1"}
        self._command = [sys.executable, "-m", "dramatiq", "workers", "--processes", "1", "--threads", str(threads)]
        self._env = clean | env
        self.start()

    def start(self) -> None:
        with (self.folder / "workers.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=self.folder, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """As a crash, or the kernel without memory, would end them."""
        os.killpg(self.process.pid, 9)
        self.process.wait()

    def noted(self, name: str) -> Sequence[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def log(self) -> str:
        return (self.folder / "workers.log").read_text(errors="replace")

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
