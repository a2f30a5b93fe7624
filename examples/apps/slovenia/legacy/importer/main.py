"""Crashes in the middle of its work, as a program does whose library is broken."""
import json
import os
import time

for number in range(1, 8):
    print("record", number)
    print("::dcm " + json.dumps({"task_size": 20, "solved": number}), flush=True)
    time.sleep(0.4)
print("record 8: free(): invalid pointer", flush=True)
os.abort()
