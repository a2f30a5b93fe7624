"""Joins what the other two have collected."""

import json
from pathlib import Path

from data_collector import report, run


def init(runtime, args=None):
    companies = json.loads(Path("out/companies.json").read_text())
    accounts = {account["oib"]: account["iban"] for account in json.loads(Path("out/accounts.json").read_text())}
    report(task_size=len(companies))
    joined = [company | {"iban": accounts.get(company["oib"])} for company in companies]
    Path("out/koncesije.json").write_text(json.dumps(joined))
    report(solved=len(joined), message=f"{sum(row['iban'] is not None for row in joined)} with an account")


if __name__ == "__main__":
    run(init)
