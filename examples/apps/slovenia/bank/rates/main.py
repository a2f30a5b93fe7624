"""Fetches an exchange rate from the local site, which refuses now and then: then this app fails.

A failed run (any exit code but 0) is tried again after `retry_interval` instead of `interval`.
"""
import json
import sys
import urllib.error
import urllib.request

try:
    with open("out/site.url", encoding="ascii") as file:
        site = file.read()
    with urllib.request.urlopen(site + "/rates.json", timeout=5) as answer:
        rates = json.load(answer)
except urllib.error.HTTPError as error:
    sys.exit(f"no rates: {error.code} {error.read().decode()}")
except OSError as error:
    sys.exit(f"no rates: {error} (is local/site/server running?)")
print("1 EUR =", rates["USD"], "USD")
