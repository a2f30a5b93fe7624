"""``report()``: what an app tells dcm of its progress."""

from __future__ import annotations

import json
import math
import operator
from datetime import datetime, timedelta, timezone
from typing import SupportsFloat, SupportsIndex

from . import _stdout
from ._identity import current

# The bytes of a message that dcm keeps.
_MESSAGE_BYTES = 500
# No time is longer; a report as a whole has at most 4,000 bytes.
_TIME_CHARACTERS = 64

Count = SupportsIndex
Time = datetime | timedelta | str


def report(
    *,
    task_size: Count | None = None,
    solved: Count | None = None,
    failed: Count | None = None,
    progress: SupportsFloat | None = None,
    eta: Time | None = None,
    next_run: Time | None = None,
    except_cnt: Count | None = None,
    message: str | None = None,
) -> None:
    """Tells dcm how far this run is; the console shows it within a second. What is left out stays as it was.

    ``task_size`` items are to be done, ``solved`` of them are done and ``failed`` given up. From these dcm computes
    ``progress`` (0 to 100) and ``eta``, unless they are given. ``next_run`` is when the app wants to run again; if it
    lies in the future when the run ends, it wins over the schedule. ``message`` is a line for the operator, of which dcm
    keeps 500 bytes.

    Times are a ``datetime`` (one without a zone is local time, as everywhere in Python), a ``timedelta`` from now, or a
    text, which dcm reads.

    It may be called from any thread and as often as you like: dcm merges what comes within 200 ms. Outside of dcm it
    checks its arguments and does nothing else. Raises :exc:`ValueError` or :exc:`TypeError` for what dcm would refuse.
    """
    fields: dict[str, object] = {}
    for name, count in (
        ("task_size", task_size),
        ("solved", solved),
        ("failed", failed),
        ("except_cnt", except_cnt),
    ):
        if count is not None:
            fields[name] = _count(name, count)
    if progress is not None:
        fields["progress"] = _percent(progress)
    for name, time in (("eta", eta), ("next_run", next_run)):
        if time is not None:
            fields[name] = _time(name, time)
    if message is not None:
        fields["message"] = _message(message)
    if except_cnt is not None:
        exceptions.set(operator.index(except_cnt))
    send(fields)


def send(fields: dict[str, object]) -> None:
    """Writes a report of checked fields."""
    if fields and current().is_managed:
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        _stdout.put(b"::dcm " + text.encode() + b"\n")


class _Exceptions:
    """How many exceptions the run had."""

    def __init__(self) -> None:
        self.count = 0

    def set(self, count: int) -> None:
        self.count = count

    def add(self) -> None:
        self.count += 1
        send({"except_cnt": self.count})


exceptions = _Exceptions()


def _count(name: str, value: Count) -> int:
    count = operator.index(value)
    if not 0 <= count < 2**63:
        raise ValueError(f"{name} is a whole number of 0 or more, not {count}")
    return count


def _percent(value: SupportsFloat) -> float:
    percent = float(value)
    # Not a number fails this as well.
    if not 0 <= percent <= 100:
        raise ValueError(f"progress is a number from 0 to 100, not {percent}")
    return math.floor(percent * 100) / 100


def _time(name: str, value: Time) -> str:
    if isinstance(value, str):
        if len(value) > _TIME_CHARACTERS:
            raise ValueError(f"{name} is a time such as 2026-11-23T14:02:11Z, not {len(value)} characters")
        return value
    if isinstance(value, timedelta):
        value = datetime.now(timezone.utc) + value
    if not isinstance(value, datetime):
        raise TypeError(f"{name} is a datetime, a timedelta or a text, not {type(value).__name__}")
    return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"message is a text, not {type(text).__name__}")
    # Half of a surrogate pair is no UTF-8; names of files have them.
    cut = text[:_MESSAGE_BYTES].encode("utf-8", "replace")[:_MESSAGE_BYTES]
    return cut.decode("utf-8", "ignore")
