"""Documents and real workers: Dramatiq's command, RabbitMQ, both databases."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from conftest import environment, until
from documents import DEAD, DONE, FAILED, PENDING, RUNNING, Documents, Workers
from servers import Postgres, Rabbit


@pytest.fixture(scope="module")
def rabbit() -> Iterator[Rabbit]:
    server = Rabbit()
    yield server
    server.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


def migrate(dcm: Path, folder: Path, url: str) -> None:
    done = subprocess.run(
        [dcm, "db", "migrate"], env=environment(folder, DC_DATABASE_URL=url), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(params=["sqlite", "postgres"])
def documents(request, rabbit: Rabbit, dcm: Path, tmp_path: Path) -> Iterator[Documents]:
    if request.param == "sqlite":
        url = f"sqlite:{tmp_path}/dcm.db"
    else:
        server = request.getfixturevalue("postgres")
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS fleet WITH (FORCE)")
            connection.execute("CREATE DATABASE fleet")
        url = server.url.replace("/postgres", "/fleet")
    migrate(dcm, tmp_path, url)
    documents = Documents(url, rabbit.url)
    yield documents
    documents.close()


@pytest.fixture
def work(documents: Documents, tmp_path: Path, rabbit: Rabbit) -> Iterator[Callable[..., Workers]]:
    """Starts workers; the queues that a test has left behind go with them."""
    started: list[Workers] = []

    def start(text: str, **options) -> Workers:
        started.append(Workers(tmp_path, documents, text, **options))
        return started[-1]

    yield start
    for workers in started:
        workers.close()
    for queue in ("work", "work.DQ", "work.XQ"):
        documents._channel.queue_delete(queue)


EXTRACT = """
class Extract(BaseWorker):
    queue = "work"

    def process(self, document):
        note("done", f"{document.task} {document.path} {document['topic']} {document.group}")
        return "invoices.text"
"""


def test_a_stage_is_done_and_asks_for_the_next(documents, work):
    workers = work(EXTRACT)
    task = documents.add("/in/a.pdf")
    documents.publish(task)
    row = documents.await_status(task, DONE)
    assert (row["attempts"], row["error"]) == (1, None)
    assert row["started"] and row["finished"] and str(row["started"]) <= str(row["finished"])
    assert workers.noted("done") == [f"{task} /in/a.pdf invoices.new croatia"]
    ((after, topic, status),) = documents.after(task)
    assert (topic, status) == ("invoices.text", PENDING)
    assert documents.row(after) | {"parent": task} == documents.row(after)
    assert documents.row(after)["document"] == "/in/a.pdf" and documents.row(after)["event_id"] == row["event_id"]
    # What the manager publishes next.
    assert len(documents.sql("SELECT 1 FROM deliveries WHERE kind = 'document' AND task_id = %s", after)) == 1


def test_a_message_that_comes_again_does_nothing_again(documents, work):
    workers = work(EXTRACT)
    task = documents.add("/in/a.pdf")
    documents.publish(task)
    before = documents.await_status(task, DONE)
    documents.publish(task)
    last = documents.add("/in/b.pdf")
    documents.publish(last)
    documents.await_status(last, DONE)
    until("the second message was taken", lambda: f"task {task} is done already" in workers.log() or "was skipped" in workers.log())
    assert documents.row(task) == before
    assert len(workers.noted("done")) == 2 and len(documents.after(task)) == 1
    assert documents.dead_messages() == []


def test_attempts_and_retries_are_seen(documents, work):
    workers = work(
        """
        class Extract(BaseWorker):
            queue = "work"
            min_backoff = max_backoff = 400
            def process(self, document):
                note("tries", document.task)
                if len((HERE / "tries").read_text().split()) < 3:
                    raise ValueError("page 3\\n is blank\\0 \\udcff")
                return ["invoices.text", "invoices.image", "invoices.text"]
        """
    )
    task = documents.add("/in/a.pdf")
    documents.publish(task)
    row = documents.await_status(task, FAILED)
    assert row["error"] == "ValueError: page 3 is blank ?" and row["finished"]
    row = documents.await_status(task, DONE)
    assert (row["attempts"], row["error"]) == (3, None)
    assert [topic for _, topic, _ in documents.after(task)] == ["invoices.text", "invoices.image"]
    assert len(workers.noted("tries")) == 3


def test_a_document_that_always_fails_is_dead(documents, work):
    work(
        """
        class Extract(BaseWorker):
            queue = "work"
            max_retries = 2
            min_backoff = max_backoff = 10
            def process(self, document):
                raise RuntimeError("poison")
        """
    )
    task = documents.add("/in/a.pdf")
    documents.publish(task)
    row = documents.await_status(task, DEAD)
    assert (row["attempts"], row["error"]) == (3, "RuntimeError: poison")
    assert [message["args"][0]["task"] for message in documents.dead_messages()] == [task]
    assert documents.after(task) == []


@pytest.mark.parametrize("topic", ["'not a topic'", "''", "7", "{'a': 1}"])
def test_what_is_no_topic_is_an_error_of_the_worker(documents, work, topic):
    work(
        f"""
        class Extract(BaseWorker):
            queue = "work"
            max_retries = 0
            def process(self, document):
                return {topic}
        """
    )
    task = documents.add("/in/a.pdf")
    documents.publish(task)
    assert "topic" in documents.await_status(task, DEAD)["error"]
    assert documents.after(task) == []


def test_no_such_actor(documents, work):
    work(EXTRACT)
    task = documents.add("/in/a.pdf", actor="no_such")
    documents.publish(task)
    row = documents.await_status(task, DEAD)
    assert "no_such" in row["error"] and row["attempts"] == 0


def test_a_message_of_another_database_is_not_worked_on(documents, work):
    workers = work(EXTRACT)
    task = documents.add("/in/a.pdf")
    documents.publish(task, message_id="11111111-1111-4111-8111-111111111111")
    until("it is rejected", documents.dead_messages)
    assert documents.row(task)["attempts"] == 0 and workers.noted("done") == []


def test_a_worker_that_is_killed_is_followed_by_another(documents, work):
    workers = work(
        """
        class Extract(BaseWorker):
            queue = "work"
            def process(self, document):
                note("tries", document.task)
                while len((HERE / "tries").read_text().split()) < 2:
                    time.sleep(0.01)
        """
    )
    task = documents.add("/in/a.pdf")
    documents.publish(task)
    until("it is worked on", lambda: workers.noted("tries"))
    documents.await_status(task, RUNNING)
    workers.kill()
    workers.start()
    assert documents.await_status(task, DONE)["attempts"] == 2


def test_names_in_any_encoding(documents, work, tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9 \\x.txt"
    with open(name, "w") as file:
        file.write("found")
    workers = work(
        """
        class Extract(BaseWorker):
            queue = "work"
            def process(self, document):
                note("content", open(document.path).read())
        """
    )
    task = documents.add(name)
    documents.publish(task)
    documents.await_status(task, DONE)
    assert workers.noted("content") == ["found"]


def test_plain_actors(documents, work):
    workers = work(
        """
        @dramatiq.actor(queue_name="work")
        def extract(document):
            note("done", document["path"])

        @dramatiq.actor(queue_name="work")
        def other(number, word):
            note("other", f"{number} {word}")
        """
    )
    documents.put(
        "work",
        {"queue_name": "work", "actor_name": "other", "args": [1], "kwargs": {"word": "two"}, "options": {},
         "message_id": "1", "message_timestamp": 1},
    )  # fmt: skip
    task = documents.add("/in/a.pdf")
    documents.publish(task)
    documents.await_status(task, DONE)
    assert workers.noted("done") == ["/in/a.pdf"]
    assert until("the other actor", lambda: workers.noted("other")) == ["1 two"]


def test_many_documents_by_many_threads(documents, work):
    tasks = [documents.add(f"/in/{number}.pdf") for number in range(50)]
    for task in tasks:
        documents.publish(task)
    workers = work(EXTRACT, threads=8)
    until("all are done", lambda: documents.sql("SELECT count(*) FROM pipeline_task WHERE status = 3") == [(50,)])
    assert sorted(int(line.split()[0]) for line in workers.noted("done")) == tasks
    assert documents.sql("SELECT count(*) FROM pipeline_task WHERE parent IS NOT NULL AND status = 0") == [(50,)]


def test_a_stage_that_takes_too_long_is_tried_again(documents, work):
    workers = work(
        """
        class Extract(BaseWorker):
            queue = "work"
            time_limit = 200
            min_backoff = max_backoff = 10
            def process(self, document):
                note("tries", document.task)
                if len((HERE / "tries").read_text().split()) < 2:
                    while True:
                        time.sleep(0.01)
        """
    )
    task = documents.add("/in/a.pdf")
    documents.publish(task)
    assert documents.await_status(task, DONE)["attempts"] == 2
    assert len(workers.noted("tries")) == 2


@pytest.mark.parametrize("patience", ["0.5", "60"])
def test_a_database_that_goes_away_loses_no_work(documents, work, request, patience):
    if documents.database.startswith("sqlite:"):
        path = Path(documents.database.removeprefix("sqlite:"))
        hidden = path.with_name("hidden")
        # A worker that begins anew finds no file; those of the log go with it.
        parts = [(path.with_name(path.name + end), hidden.with_name(hidden.name + end)) for end in ("", "-wal", "-shm")]

        def away() -> None:
            for here, there in parts:
                if here.exists():
                    here.rename(there)

        def back() -> None:
            for here, there in parts:
                if there.exists():
                    there.rename(here)
    else:
        server = request.getfixturevalue("postgres")
        away, back = server.kill, server.start
    workers = work(
        """
        class Extract(BaseWorker):
            queue = "work"
            min_backoff = max_backoff = 500
            def process(self, document):
                note("tries", document.task)
                while not (HERE / "go").exists():
                    time.sleep(0.01)
                # The next write makes a new connection.
                next(m for m in broker.middleware if isinstance(m, PipelineMiddleware))._tasks.close()
                return "invoices.text"
        """,
        PATIENCE=patience,
    )
    first, second = documents.add("/in/a.pdf"), documents.add("/in/b.pdf")
    documents.publish(first)
    until("it is worked on", lambda: workers.noted("tries"))
    away()
    (workers.folder / "go").touch()
    until("the workers know", lambda: "the database cannot be written to" in workers.log())
    if patience == "0.5":
        until("they gave the attempt up", lambda: "did not take that task" in workers.log())
    back()
    documents.publish(second)
    for task in (first, second):
        documents.await_status(task, DONE)
        assert [topic for _, topic, _ in documents.after(task)] == ["invoices.text"]
    assert documents.dead_messages() == []
