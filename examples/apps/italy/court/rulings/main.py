"""Gets stuck: it counts a little, then waits for an answer that does not come.

Nothing is wrong with the process, so that only its counters tell.
"""
import json
import time

for page in range(1, 9):
    print(f"page {page} of 60")
    print("::dcm " + json.dumps({"task_size": 60, "solved": page, "message": f"page {page}"}), flush=True)
    time.sleep(0.4)
print("waiting for the court", flush=True)
time.sleep(300)
