"""A small web site on this machine, for the apps that fetch pages.

It runs until it is stopped. Its address is in out/site.url; what it counts is seen on the console.
"""
import csv
import html
import json
import os
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

with open("data/companies.csv", encoding="utf-8", newline="") as file:
    COMPANIES = {row["oib"]: row for row in csv.DictReader(file)}
served = refused = rates = 0


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        global rates
        rates += self.path == "/rates.json"
        if self.path == "/":
            links = [f'<li><a href="/company/{oib}">{oib}</a>' for oib in list(COMPANIES)[:40]]
            self.answer(200, "text/html", "<ul>" + "\n".join(links + ['<li><a href="/company/0">gone</a>']))
        elif self.path.removeprefix("/company/") in COMPANIES:
            row = COMPANIES[self.path.removeprefix("/company/")]
            self.answer(200, "text/html", f"<h1>{html.escape(row['name'])}</h1><p>{html.escape(row['town'])}")
        elif self.path == "/rates.json" and rates % 3 == 1:
            self.answer(503, "text/plain", "the bank is closed, come again")
        elif self.path == "/rates.json":
            self.answer(200, "application/json", json.dumps({"USD": round(random.uniform(1, 1.2), 4)}))
        else:
            self.answer(404, "text/plain", "no such page")
        print("::dcm " + json.dumps({"solved": served, "failed": refused}), flush=True)

    def answer(self, status, kind, text):
        global served, refused
        served, refused = served + (status == 200), refused + (status != 200)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


os.makedirs("out", exist_ok=True)
server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
with open("out/site.url.new", "w", encoding="ascii") as file:
    file.write(f"http://127.0.0.1:{server.server_port}")
os.replace("out/site.url.new", "out/site.url")
print(time.strftime("%H:%M:%S"), "serving", len(COMPANIES), "companies on port", server.server_port)
server.serve_forever()
