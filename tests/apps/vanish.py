"""Starts a child without environment, says its pid, and waits.

usage: vanish.py MODE FOLDER   (MODE: group: it stays in the group; session: in a session of its own; FOLDER/leave lets this process end)
"""
import os
import sys
import time

read, write = os.pipe()
if os.fork() == 0:
    if sys.argv[1] == "session":
        os.setsid()
    if os.fork() != 0:
        os._exit(0)
    os.write(write, str(os.getpid()).encode())
    os.closerange(0, 256)
    os.execve("/bin/sleep", ["sleep", "98808"], {})
os.wait()
print(os.read(read, 32).decode(), flush=True)
while not os.path.exists(os.path.join(sys.argv[2], "leave")):
    time.sleep(0.02)
