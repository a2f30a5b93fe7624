"""Sums up what croatia/fina/companies collected. Runs by the clock (cron)."""
import collections
import json
import os

print("due at", os.environ["DC_DUE_TIME"], "for", os.environ["DC_TRIGGER"])
try:
    with open("out/companies.json", encoding="utf-8") as file:
        companies = json.load(file)
except FileNotFoundError:
    print("nothing was collected yet")
    raise SystemExit
towns = collections.Counter()
for company in companies:
    towns[company["town"]] += company["revenue"]
for town, revenue in towns.most_common():
    print(f"{town:12} {revenue:>12,}")
