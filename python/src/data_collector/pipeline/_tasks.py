"""The rows of ``pipeline_task`` as a worker writes them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ._database import Database, Rows

# The codes of its column status; 0 is PENDING, 1 SENT.
RUNNING, DONE, FAILED, DEAD = 2, 3, 4, 5

# So much of an error is kept, in characters.
_ERROR_MAX = 1000

# Between two tries of a database that is away, in seconds.
_PAUSE, _PAUSE_MAX = 0.1, 5.0

_log = logging.getLogger("data_collector.pipeline")

T = TypeVar("T")


@dataclass
class Attempt:
    """What a worker's thread works on."""

    task: int
    message_id: str
    #: Which attempt it is, from 1 on.
    number: int
    #: The path as the calls of the operating system take it.
    path: str
    #: The topics of the next stages.
    topics: Sequence[str] = field(default=())


class Tasks:
    """Writes rows, waiting for a database that is away for at most ``patience`` seconds. Then it raises the error of its driver."""

    def __init__(self, database: Database, patience: float) -> None:
        self._database = database
        self._patience = patience

    def close(self) -> None:
        self._database.close()

    def begin(self, task: int, message_id: str) -> Attempt | None | str:
        """An attempt begins. None: the stage is done already; a text: why there is no such task."""
        statement = self._statement

        def begin(rows: Rows) -> Attempt | None | str:
            rows.execute(
                statement(
                    "SELECT status, attempts, document, path_bytes FROM pipeline_task AS task "
                    "LEFT JOIN events ON events.id = task.event_id WHERE task.id = {v} AND message_id = {v}"
                ),
                (task, message_id),
            )
            if (row := rows.fetchone()) is None:
                return f"the database has no task {task} with this message"
            status, attempts, document, odd = row
            if status == DONE:
                return None
            rows.execute(
                statement(
                    "UPDATE pipeline_task SET status = {v}, attempts = attempts + 1, started = {now}, finished = NULL "
                    "WHERE id = {v} AND status <> {v}"
                ),
                (RUNNING, task, DONE),
            )
            # Another worker may have finished it since the look.
            if rows.rowcount == 0:
                return None
            path = document if odd is None else os.fsdecode(bytes(odd))
            return Attempt(task, message_id, attempts + 1, path)

        return self._persist(f"task {task} begins", begin, durable=False)

    def done(self, attempt: Attempt) -> None:
        """The stage is done; those that it asked for are written in the same transaction, each of them once."""

        def done(rows: Rows) -> None:
            rows.execute(
                self._statement(
                    "UPDATE pipeline_task SET status = {v}, finished = {now}, error = NULL WHERE id = {v} AND message_id = {v}"
                ),
                (DONE, attempt.task, attempt.message_id),
            )
            for topic in attempt.topics:
                rows.execute(
                    self._statement(
                        "INSERT INTO pipeline_task (event_id, parent, document, topic) "
                        "SELECT event_id, id, document, {v} FROM pipeline_task WHERE id = {v} AND message_id = {v} "
                        "ON CONFLICT (parent, topic) DO NOTHING"
                    ),
                    (topic, attempt.task, attempt.message_id),
                )

        self._persist(f"task {attempt.task} is done", done)

    def failed(self, attempt: Attempt, error: str) -> None:
        """The attempt failed, and Dramatiq has put the next one into its queue. If that runs already, it says more."""

        def failed(rows: Rows) -> None:
            rows.execute(
                self._statement(
                    "UPDATE pipeline_task SET status = {v}, finished = {now}, error = {v} "
                    "WHERE id = {v} AND message_id = {v} AND status = {v} AND attempts = {v}"
                ),
                (FAILED, _kept(error), attempt.task, attempt.message_id, RUNNING, attempt.number),
            )

        self._persist(f"task {attempt.task} failed", failed)

    def dead(self, task: int, message_id: str, error: str) -> None:
        """No worker tries it again; its message is in the queue of the dead."""

        def dead(rows: Rows) -> None:
            rows.execute(
                self._statement(
                    "UPDATE pipeline_task SET status = {v}, finished = {now}, error = {v} "
                    "WHERE id = {v} AND message_id = {v} AND status <> {v}"
                ),
                (DEAD, _kept(error), task, message_id, DONE),
            )

        self._persist(f"task {task} is dead", dead)

    def _statement(self, text: str) -> str:
        return text.format(v=self._database.value, now=self._database.now)

    def _persist(self, what: str, write: Callable[[Rows], T], durable: bool = True) -> T:
        end = time.monotonic() + self._patience
        pause = _PAUSE
        while True:
            try:
                with self._database.transaction(durable) as rows:
                    return write(rows)
            except Exception as error:
                if not self._database.may_pass(error) or time.monotonic() + pause > end:
                    raise
                _log.warning("the database cannot be written to (%s), trying again in %.1f s: %s", what, pause, first_line(error))
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE_MAX)


def first_line(error: BaseException) -> str:
    """An error as one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _kept(error: str) -> str:
    # PostgreSQL takes no NUL, and neither of them half of a surrogate pair.
    return error.replace("\0", "").encode("utf-8", "replace").decode()[:_ERROR_MAX]
