"""What an actor gets."""

from __future__ import annotations

from typing import Any


class Document(dict[str, Any]):
    """A document at one stage: the JSON object of the message, whose fields are attributes as well."""

    @property
    def task(self) -> int:
        """Its row of ``pipeline_task``."""
        return int(self["task"])

    @property
    def path(self) -> str:
        """Where the file is. A name that is not UTF-8 has its bytes as the operating system's calls take them
        (``surrogateescape``), so ``open(document.path)`` works for every name."""
        return str(self["path"])

    @property
    def topic(self) -> str:
        """The topic of this stage."""
        return str(self["topic"])

    @property
    def sha3(self) -> str:
        """SHA3-256 of the content that was seen, in hex."""
        return str(self["sha3"])

    @property
    def group(self) -> str:
        """The ``app_group`` of its root."""
        return str(self["group"])
