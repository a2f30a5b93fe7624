"""The first stage: takes the words out of a paper. One that is no text fails, is tried once more, and is dead then."""
import json
import os
import time

from broker import QUEUES
from data_collector.pipeline import BaseWorker


class Read(BaseWorker):
    queue = f"{QUEUES}.read"
    max_retries = 1
    min_backoff = 2000

    def process(self, document):
        with open(document.path, encoding="utf-8") as file:
            words = [word.strip(".,:;!?").lower() for word in file.read().split()]
        time.sleep(0.3)  # a scanned page takes its time
        os.makedirs("words", exist_ok=True)
        # Named after the content: a paper that is read twice is the same file.
        with open(f"words/{document.sha3}.json", "w", encoding="utf-8") as file:
            json.dump(words, file)
        print(f"{os.path.basename(document.path)}: {len(words)} words")
        return "paper.text"
