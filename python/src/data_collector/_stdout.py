"""Standard output as dcm reads it: a report is a line of its own.

Reports are written to the descriptor itself, each in one call, which a pipe takes as a whole. What the app prints goes
through Python's buffer. So that no report lands within a printed line, the buffer hands on whole lines (as on a
terminal), and a line that was flushed before its end is ended first.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable

# Text beyond this leaves the buffer of a text stream before its line is complete.
_CHUNK = 8192


class Lines:
    """Writes lines to standard output between the lines that others print."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        # A signal handler may print or report while its thread does.
        self._lock = threading.RLock()
        self._stream = stream
        self._descriptor = stream.fileno()
        # Of what was printed, and of what has left the buffer: whether it ends within a line.
        self._is_within_line = False
        self._is_cut_within_line = False
        self._write: Callable[[str], int] = stream.write
        self._flush: Callable[[], None] = stream.flush
        if hasattr(os, "register_at_fork"):
            # Another thread may hold the lock when a process forks, and is not there in the child to let go.
            os.register_at_fork(after_in_child=self._renew_lock)
        stream.reconfigure(line_buffering=True, write_through=False)
        # print(), logging and sys.stdout.write() all come by these two.
        stream.write = self._watched_write  # type: ignore[method-assign]
        stream.flush = self._watched_flush  # type: ignore[method-assign]

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def put(self, line: bytes) -> None:
        """Writes a line, or nothing where there is nobody to read it."""
        with self._lock:
            try:
                if self._is_cut_within_line:
                    self._flush()
                    line = b"\n" + line
                    self._is_cut_within_line = self._is_within_line = False
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except (OSError, ValueError):
                # Closed, or its reader is gone. An app does not fail because nobody listens.
                pass

    def _watched_write(self, text: str) -> int:
        with self._lock:
            written = self._write(text)
            if text:
                self._is_within_line = not text.endswith("\n")
                if "\n" in text or "\r" in text:
                    self._is_cut_within_line = self._is_within_line
                elif len(text) >= _CHUNK:
                    self._watched_flush()
            return written

    def _watched_flush(self) -> None:
        with self._lock:
            self._flush()
            self._is_cut_within_line = self._is_within_line


_opened: Lines | None = None
_opening = threading.Lock()


def prepare() -> Lines | None:
    """Makes ready the standard output that the process began with, also where ``sys.stdout`` is another by now.

    It is best done before threads print: Python's text streams are not safe to change, nor to share, between threads.
    From then on they are shared by a lock.
    """
    global _opened
    with _opening:
        if _opened is None:
            stream = sys.__stdout__
            if not isinstance(stream, io.TextIOWrapper) or stream.closed:
                return None
            _opened = Lines(stream)
        return _opened


def put(line: bytes) -> None:
    """Writes a line to standard output, if there is one."""
    if lines := prepare():
        lines.put(line)
