"""Collects companies: made-up ones, so that it works without a network."""

import json
from pathlib import Path

from data_collector import report, run, wait


def init(runtime, args=None):
    wanted = (args or {}).get("only", 50)
    report(task_size=wanted)
    companies = []
    for number in range(wanted):
        companies.append({"oib": 10_000_000_000 + number, "name": f"Company {number}"})
        report(solved=len(companies))
        if wait(0.01):  # a register that is asked politely
            return 1
    Path("out").mkdir(exist_ok=True)
    Path("out/companies.json").write_text(json.dumps(companies))
    print(len(companies), "companies")


if __name__ == "__main__":
    run(init)
