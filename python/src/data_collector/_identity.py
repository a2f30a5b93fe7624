"""Which app and which run this process is, as dcm says by the environment."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache


@dataclass(frozen=True)
class Run:
    """One execution of an app."""

    #: Version-4 UUID in 32 lower-case hex characters; one of its own where dcm did not start the process.
    runtime: str
    #: Whether dcm started the process. If not, what follows is empty.
    is_managed: bool
    #: SHA3-256 of ``GROUP|PARENT|APP`` in hex.
    app_id: str = ""
    group: str = ""
    parent: str = ""
    name: str = ""
    #: 1 for the first run after a good one, more for those that repeat a failed or crashed one.
    attempt: int = 1
    #: What started the run: ``schedule``, ``command``, ``run-app``, ``catch-up``.
    trigger: str = ""
    #: The time of the calendar that the run belongs to, if there is one.
    due_time: datetime | None = None
    #: For ``dcm_assert_fence()``, where several managers share apps.
    fence: str = ""

    @property
    def path(self) -> str:
        """``GROUP/PARENT/APP``, or an empty text outside of dcm."""
        return f"{self.group}/{self.parent}/{self.name}" if self.name else ""


@lru_cache(maxsize=1)
def current() -> Run:
    """The run that this process is. It is read once and stays the same."""
    get = os.environ.get
    runtime = get("DC_RUNTIME")
    if not runtime:
        return Run(runtime=uuid.uuid4().hex, is_managed=False)
    return Run(
        runtime=runtime,
        is_managed=True,
        app_id=get("DC_APP_ID", ""),
        group=get("DC_APP_GROUP", ""),
        parent=get("DC_APP_PARENT", ""),
        name=get("DC_APP_NAME", ""),
        attempt=_whole(get("DC_ATTEMPT", "")),
        trigger=get("DC_TRIGGER", ""),
        due_time=_time(get("DC_DUE_TIME", "")),
        fence=get("DC_FENCE", ""),
    )


def app_id(group: str, parent: str, name: str) -> str:
    """The key of an app in the table ``apps``."""
    return hashlib.sha3_256(f"{group}|{parent}|{name}".encode()).hexdigest()


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else 1


def _time(text: str) -> datetime | None:
    try:
        # Python 3.10 does not read the Z.
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
