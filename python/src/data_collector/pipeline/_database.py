"""The two kinds of database, as far as the rows of documents need them."""

from __future__ import annotations

import os
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

#: How long another writer is waited for, in seconds.
LOCK_SECONDS = 10


class Rows(Protocol):
    """A cursor."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, statement: str, values: Sequence[object] = ..., /) -> Any: ...

    def fetchone(self) -> Any: ...


class Database(ABC):
    """A connection for each thread, made when it is needed and again after a fault."""

    #: In statements: a value, and the time.
    value: str
    now: str

    def __init__(self) -> None:
        self._threads = threading.local()

    @contextmanager
    def transaction(self, durable: bool = True) -> Iterator[Rows]:
        """What is done within is committed as a whole, or not at all. What need not be ``durable`` may be lost by a power
        cut. Raises the errors of the driver."""
        try:
            if getattr(self._threads, "connection", None) is None:
                self._threads.connection = self._connect()
            with self._begin(self._threads.connection, durable) as rows:
                yield rows
        except BaseException:
            # Whatever state it is in, the next one is sound.
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection of this thread."""
        connection, self._threads.connection = getattr(self._threads, "connection", None), None
        if connection is not None:
            try:
                connection.close()
            except Exception:
                pass  # it is gone already

    @abstractmethod
    def _connect(self) -> Any: ...

    @abstractmethod
    def _begin(self, connection: Any, durable: bool) -> Any:
        """A context in which statements are one transaction."""

    @abstractmethod
    def may_pass(self, error: Exception) -> bool:
        """Whether it is worth trying again: the database is away or busy."""


class Sqlite(Database):
    value = "?"
    now = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"

    def __init__(self, path: Path) -> None:
        super().__init__()
        # Only one that exists: an empty database at a mistyped path would take nothing.
        self._uri = f"file:{quote(os.fsencode(path))}?mode=rw"

    def _connect(self) -> sqlite3.Connection:
        # The threads of Dramatiq end without a word; then another one closes it.
        connection = sqlite3.connect(
            self._uri, uri=True, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        # dcm set it already; without it readers and writers would wait for each other.
        connection.execute("PRAGMA journal_mode = WAL")
        return connection

    @contextmanager
    def _begin(self, connection: sqlite3.Connection, durable: bool) -> Iterator[Rows]:
        rows = connection.cursor()
        rows.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        rows.execute("BEGIN IMMEDIATE")
        yield rows
        rows.execute("COMMIT")

    def may_pass(self, error: Exception) -> bool:
        return isinstance(error, sqlite3.OperationalError)


class Postgres(Database):
    value = "%s"
    now = "clock_timestamp()"

    def __init__(self, url: str) -> None:
        super().__init__()
        try:
            import psycopg
        except ImportError:
            raise ImportError("documents on PostgreSQL need psycopg: pip install 'data-collector[postgres]'") from None
        self._psycopg = psycopg
        self._url = _without_foreign_parameters(url)

    def _connect(self) -> Any:
        # Without prepared statements a pooler may stand between.
        return self._psycopg.connect(
            self._url, autocommit=True, connect_timeout=LOCK_SECONDS, prepare_threshold=None, application_name="data_collector"
        )

    @contextmanager
    def _begin(self, connection: Any, durable: bool) -> Iterator[Rows]:
        with connection.transaction(), connection.cursor() as rows:
            durability = "" if durable else "; SET LOCAL synchronous_commit = off"
            rows.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'{durability}")
            yield rows

    def may_pass(self, error: Exception) -> bool:
        return isinstance(error, (self._psycopg.OperationalError, self._psycopg.InterfaceError))


def open_database(url: str | None) -> Database:
    """That of a URL, as dcm takes it, or of ``DC_DATABASE_URL``. Nothing is connected to yet."""
    url = url or os.environ.get("DC_DATABASE_URL")
    if not url:
        raise ValueError(
            "no database: pass database_url, or set DC_DATABASE_URL "
            "(dcm sets it for apps with pass_database: dcm app set PATH --pass-database true)"
        )
    if url.startswith("sqlite:"):
        path = url.removeprefix("sqlite:").removeprefix("//")
        return Sqlite(Path(path).expanduser().absolute())
    if url.startswith(("postgres://", "postgresql://")):
        return Postgres(url)
    # It may hold a password: only its beginning is shown.
    raise ValueError(f"unknown kind of database {url.partition(':')[0]!r}: expected sqlite:PATH or postgres://...")


def _without_foreign_parameters(url: str) -> str:
    """dcm takes a parameter that libpq does not know."""
    parts = urlsplit(url)
    if "statement-cache-capacity" not in parts.query:
        return url
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name != "statement-cache-capacity"]
    return urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote)))
