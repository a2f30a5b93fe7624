"""Parses a register of companies, and sorts out rows whose number or revenue cannot be right.

Progress is reported by lines that begin with `::dcm ` on standard output; they are not in the log.
"""
import csv
import json
import os
import time


def is_valid(oib):
    """The check digit of a Croatian personal identification number (ISO 7064, mod 11,10)."""
    rest = 10
    for digit in oib[:-1]:
        rest = (rest + int(digit)) % 10 or 10
        rest = rest * 2 % 11
    return (11 - rest) % 10 == int(oib[-1])


def report(**facts):
    print("::dcm " + json.dumps(facts), flush=True)


with open("data/companies.csv", encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
report(task_size=len(rows), solved=0, failed=0)
good, bad = [], 0
for row in rows:
    if not is_valid(row["oib"]):
        bad += 1
        print(f"{row['name']}: {row['oib']} is no valid number")
    elif not row["revenue"].isdigit():
        bad += 1
        print(f"{row['name']}: revenue {row['revenue']!r} is no number")
    else:
        good.append({**row, "revenue": int(row["revenue"])})
    report(solved=len(good), failed=bad)
    time.sleep(0.05)  # a register that is asked politely

os.makedirs("out", exist_ok=True)
with open("out/companies.json.new", "w", encoding="utf-8") as file:
    json.dump(good, file)
os.replace("out/companies.json.new", "out/companies.json")
print(f"{len(good)} companies, {bad} rows left out")
