"""Workers as classes."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import dramatiq

from ._document import Document
from ._middleware import PipelineMiddleware
from ._tasks import Attempt

# As dcm has it.
_TOPIC = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")
_TOPIC_MAX = 255


class BaseWorker:
    """A stage of documents. A subclass with :meth:`process` is an actor of the broker that is set when it is defined::

        class Extract(BaseWorker):
            queue = "documents"
            max_retries = 3

            def process(self, document):
                ...
                return "invoices.text"

    Its attributes beside ``actor`` and ``queue`` are options of the actor under Dramatiq's names: ``max_retries``,
    ``min_backoff``, ``time_limit``, ``priority``, ``throws`` and the others that the broker knows.

    There is one object a process, made for its first message and shared by its threads: what is dear to load belongs
    into ``__init__``.
    """

    #: The actor's name, as a route of dcm has it; that of the class in snake case if it is not set.
    actor: ClassVar[str] = ""
    #: The queue that it takes documents from.
    queue: ClassVar[str] = "default"
    #: The actor that this class is.
    declared: ClassVar[dramatiq.Actor[..., Any]]

    def process(self, document: Document) -> None | str | Sequence[str]:
        """Does the work of this stage; gives back the topic of the next stage, several of them, or None after the last one.

        A document may be given to it more than once (after a crash, or when the database was away): what it writes should
        be the same for the same document. An exception makes Dramatiq try again, and at last the document DEAD.
        """
        raise NotImplementedError

    def __init_subclass__(cls, *, broker: dramatiq.Broker | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.process is not BaseWorker.process:
            cls.declared = _declare(cls, broker or dramatiq.get_broker())


def _declare(worker: type[BaseWorker], broker: dramatiq.Broker) -> dramatiq.Actor[..., Any]:
    lock = threading.Lock()
    made: list[BaseWorker] = []

    def instance() -> BaseWorker:
        with lock:
            if not made:
                made.append(worker())
            return made[0]

    def act(document: dict[str, Any]) -> None:
        attempt = _attempt(broker)
        if attempt is None:
            raise RuntimeError(
                f"{worker.__name__} was not called for a document of dcm: add PipelineMiddleware to its broker, "
                f"or call {worker.__name__}().process(document) to try it"
            )
        attempt.topics = _topics(instance().process(Document(document, path=attempt.path)))

    act.__doc__ = worker.__doc__
    options = {name: getattr(worker, name) for name in broker.actor_options if hasattr(worker, name)}
    declare = dramatiq.actor(
        actor_name=vars(worker).get("actor") or _snake(worker.__name__),
        queue_name=worker.queue,
        priority=getattr(worker, "priority", 0),
        broker=broker,
        **options,
    )
    return declare(act)


def _attempt(broker: dramatiq.Broker) -> Attempt | None:
    for middleware in broker.middleware:
        if isinstance(middleware, PipelineMiddleware):
            return middleware.attempt
    return None


def _topics(asked: object) -> list[str]:
    if asked is None:
        return []
    topics = [asked] if isinstance(asked, str) else asked
    if not isinstance(topics, (list, tuple)):
        raise TypeError(f"process() gives back None, a topic or a list of topics, not {type(asked).__name__}")
    for topic in topics:
        if not isinstance(topic, str) or len(topic) > _TOPIC_MAX or not _TOPIC.match(topic):
            raise ValueError(f"no topic: {topic!r} (words of A-Z a-z 0-9 _ - with dots between them)")
    return list(dict.fromkeys(topics))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
