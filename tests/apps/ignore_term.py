"""Ignores every polite request to end, and starts a child that does the same."""
import os
import signal
import sys
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = os.fork()
if child == 0:
    while True:
        time.sleep(60)
print("child", child, flush=True)
while True:
    time.sleep(60)
