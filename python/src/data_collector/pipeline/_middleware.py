"""The middleware that keeps the rows of documents."""

from __future__ import annotations

import threading
from typing import Any

import dramatiq
from dramatiq.middleware import Interrupt, SkipMessage

from ._database import open_database
from ._tasks import Attempt, Tasks, first_line


class NotRecorded(Interrupt):
    """The database did not take what became of a document. The message is tried again, as after any error.

    It is no :exc:`Exception`, since Dramatiq would log it and acknowledge the message.
    """


class _Current(threading.local):
    """Of a worker's thread."""

    attempt: Attempt | None = None
    #: Of the attempt that failed last, until its message is settled.
    error: str = ""


class PipelineMiddleware(dramatiq.Middleware):
    """Writes what becomes of dcm's documents into their rows of ``pipeline_task``.

    It concerns messages whose one argument is an object with ``task``, of any actor; others pass by. A stage that is done
    is not done again when its message is delivered again: that one is skipped. A message whose task is not in the
    database (it is that of another one) is rejected into the queue of the dead.

    When the database is away, worker threads wait for it, ``patience`` seconds at most. Then an attempt that was to begin
    does not, and one that is over counts as failed: Dramatiq tries the message again with its back-off. So work may be
    repeated, and none is lost.

    ``database_url`` is dcm's, ``sqlite:PATH`` or ``postgres://...``; ``DC_DATABASE_URL`` if None.
    """

    def __init__(self, database_url: str | None = None, *, patience: float = 60.0) -> None:
        self._tasks = Tasks(open_database(database_url), patience)
        self._current = _Current()

    @property
    def attempt(self) -> Attempt | None:
        """What this thread works on."""
        return self._current.attempt

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        self._current.attempt, self._current.error = None, ""
        task = _task(message)
        # Another middleware may have rejected it already.
        if task is None or message.failed:
            return
        try:
            begun = self._tasks.begin(task, message.message_id)
        except Exception as error:
            raise NotRecorded(f"the database did not take that task {task} begins: {first_line(error)}") from error
        if begun is None:
            raise SkipMessage(f"task {task} is done already")
        if isinstance(begun, str):
            message.fail()
            raise SkipMessage(begun)
        self._current.attempt = begun

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        attempt = self._current.attempt
        if exception is not None:
            # The row is written when Dramatiq has decided what comes next; here an error would keep it from that.
            self._current.error = first_line(exception)
        elif attempt is not None:
            try:
                self._tasks.done(attempt)
            except Exception as error:
                raise NotRecorded(
                    f"the database did not take that task {attempt.task} is done: {first_line(error)}"
                ) from error
            self._current.attempt = None

    def after_ack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        attempt, error = self._current.attempt, self._current.error
        if attempt is not None and error and attempt.message_id == message.message_id:
            self._current.attempt = None
            self._tasks.failed(attempt, error)

    def after_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        task = _task(message)
        if task is None:
            return
        attempt, error = self._current.attempt, self._current.error
        if attempt is None or attempt.message_id != message.message_id:
            error = ""
        self._current.attempt = None
        # Without an attempt: no such actor, or too old.
        if not error and (why := getattr(message, "_exception", None)) is not None:
            error = first_line(why)
        self._tasks.dead(task, message.message_id, error or "rejected before it began")

    def before_worker_thread_shutdown(self, broker: dramatiq.Broker, thread: Any) -> None:
        self._tasks.close()


def _task(message: dramatiq.MessageProxy) -> int | None:
    """The task of a message of dcm; None for other messages."""
    args = message.args
    if len(args) == 1 and isinstance(args[0], dict):
        task = args[0].get("task")
        if isinstance(task, int) and not isinstance(task, bool):
            return task
    return None
