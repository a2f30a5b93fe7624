"""What is to be known of workers without a broker's server."""

from __future__ import annotations

from pathlib import Path

import pytest
from dramatiq.brokers.stub import StubBroker

from data_collector.pipeline import BaseWorker, Document, PipelineMiddleware


@pytest.fixture
def broker():
    broker = StubBroker()
    yield broker
    broker.close()


def test_an_actor_is_named_after_its_class(broker):
    class OCRPages2Text(BaseWorker, broker=broker):
        queue = "documents"
        max_retries = 3
        time_limit = 5000
        priority = 2

        def process(self, document):
            """Does it."""

    class Named(OCRPages2Text, broker=broker):
        actor = "other"

        def process(self, document):
            pass

    assert OCRPages2Text.declared.actor_name == "ocr_pages2_text"
    assert (OCRPages2Text.declared.queue_name, OCRPages2Text.declared.priority) == ("documents", 2)
    assert OCRPages2Text.declared.options == {"max_retries": 3, "time_limit": 5000}
    assert (Named.declared.actor_name, Named.declared.queue_name) == ("other", "documents")
    assert broker.get_actor("other") is Named.declared


def test_a_worker_can_be_tried_without_anything(broker):
    class Extract(BaseWorker, broker=broker):
        def process(self, document):
            return document.path.upper()

    assert Extract().process(Document(path="a", task=1)) == "A"
    with pytest.raises(RuntimeError, match="add PipelineMiddleware"):
        Extract.declared({"task": 1})


@pytest.mark.parametrize(
    ("url", "why"),
    [(None, "DC_DATABASE_URL"), ("mysql://ana:secret@db", "unknown kind of database 'mysql'"), ("dcm.db", "expected sqlite:PATH")],
)
def test_a_database_that_cannot_be_meant(url, why, monkeypatch):
    monkeypatch.delenv("DC_DATABASE_URL", raising=False)
    with pytest.raises(ValueError, match=why) as caught:
        PipelineMiddleware(url)
    assert "secret" not in str(caught.value)


def test_no_database_is_made_at_a_mistyped_path(tmp_path: Path):
    middleware = PipelineMiddleware(f"sqlite:{tmp_path}/no.db", patience=0)
    with pytest.raises(Exception, match="unable to open"):
        middleware._tasks.begin(1, "x")
    assert list(tmp_path.iterdir()) == []


def test_a_parameter_of_dcm_that_libpq_does_not_know():
    middleware = PipelineMiddleware("postgres://a@h/b?statement-cache-capacity=0&options=-c%20search_path%3Dx")
    assert middleware._tasks._database._url == "postgres://a@h/b?options=-c%20search_path%3Dx"
