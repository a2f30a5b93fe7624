"""Looks for mail, and says itself when to look again: soon while mail comes, later when it does not.

The time that an app sets wins over its interval and its cron expression.
"""
import datetime
import json
import random
import time

letters = random.choice([0, 0, 3, 5, 8])
for number in range(letters):
    print("letter", number + 1)
    print("::dcm " + json.dumps({"task_size": letters, "solved": number + 1}), flush=True)
    time.sleep(0.6)
pause = 8 if letters else 20
again = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=pause)
print("::dcm " + json.dumps({"next_run": again.isoformat(), "message": f"{letters} letters"}), flush=True)
print(f"{letters} letters; next look in {pause} seconds")
