"""The second and last stage: which words a paper has most."""
import collections
import json
import os
import time

from broker import QUEUES
from data_collector.pipeline import BaseWorker


class Count(BaseWorker):
    queue = f"{QUEUES}.count"

    def process(self, document):
        with open(f"words/{document.sha3}.json", encoding="utf-8") as file:
            words = json.load(file)
        time.sleep(0.1)
        most = collections.Counter(word for word in words if len(word) > 3).most_common(3)
        os.makedirs("out", exist_ok=True)
        with open(f"out/{document.sha3}.json", "w", encoding="utf-8") as file:
            json.dump({"path": document.path, "words": len(words), "most": most}, file)
        print(f"{os.path.basename(document.path)}: {', '.join(word for word, _ in most)}")
