"""Needs some seconds to end on TERM, then writes how many it got into a file.

usage: slow_worker.py FILE SECONDS
"""
import os
import signal
import sys
import time

asked = 0


def ask(*_):
    global asked
    asked += 1


# As from a script that was started with nohup, or by a parent that had its own ideas.
signal.signal(signal.SIGTERM, ask)
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
with open(sys.argv[1] + ".pid", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".pid", sys.argv[1] + ".ready")
while not asked:
    time.sleep(0.02)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    time.sleep(0.02)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(asked))
os.rename(sys.argv[1] + ".new", sys.argv[1])
