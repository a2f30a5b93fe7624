"""Workers for the documents of dcm, by Dramatiq and RabbitMQ.

::

    import dramatiq
    from dramatiq.brokers.rabbitmq import RabbitmqBroker
    from data_collector.pipeline import BaseWorker, PipelineMiddleware

    broker = RabbitmqBroker(url=os.environ["RABBITMQ_URL"])
    broker.add_middleware(PipelineMiddleware())
    dramatiq.set_broker(broker)

    class Extract(BaseWorker):
        queue = "extract"

        def process(self, document):
            text = extract(document.path)
            ...
            return "invoices.text"      # the topic of the next stage

The middleware keeps the rows of ``pipeline_task``: RUNNING, DONE, FAILED, DEAD, the number of attempts, times, the error.
It needs the extra ``dramatiq``, and on PostgreSQL ``postgres``.
"""

from ._document import Document
from ._middleware import NotRecorded, PipelineMiddleware
from ._worker import BaseWorker

__all__ = ["BaseWorker", "Document", "NotRecorded", "PipelineMiddleware"]
