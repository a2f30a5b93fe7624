"""Starts a daemon in a session of its own that ignores TERM and keeps no descriptor, and ends."""
import os
import signal
import sys
import time

code = int(sys.argv[1]) if len(sys.argv) > 1 else 0
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() != 0:
        os._exit(0)
    os.write(write, str(os.getpid()).encode())
    os.closerange(0, 256)
    while True:
        time.sleep(60)
os.close(write)
daemon = os.read(read, 32).decode()
print("daemon", daemon, flush=True)
if "stay" in sys.argv:
    while True:
        time.sleep(60)
sys.exit(code)
