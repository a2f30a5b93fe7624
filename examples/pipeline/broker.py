"""What both workers begin with: the broker, whose middleware keeps the rows of documents."""
import os

import dramatiq
from data_collector.pipeline import PipelineMiddleware
from dramatiq.brokers.rabbitmq import RabbitmqBroker

# Queues are shared by all who use the broker, so they have names of their own.
QUEUES = os.environ.get("QUEUES", "demo")

broker = RabbitmqBroker(url=os.environ["RABBITMQ_URL"])
broker.add_middleware(PipelineMiddleware())
dramatiq.set_broker(broker)
