"""Runs only on command, with arguments: dcm start slovenia/bank/archive --args '{"year": 2019}'"""
import argparse
import json
import time

parser = argparse.ArgumentParser()
parser.add_argument("--args", type=json.loads, default={})
year = parser.parse_args().args.get("year", 2026)
for month in range(1, 13):
    print(f"archiving {year}-{month:02}")
    print("::dcm " + json.dumps({"task_size": 12, "solved": month}), flush=True)
    time.sleep(0.5)
