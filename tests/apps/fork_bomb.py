"""Forks as fast as it can, each child in a session of its own, until some two hundred live."""
import os
import time

count = 0
while count < 40:
    count += 1
    if os.fork() == 0:
        os.setsid()
        count += 20
    elif count == 2:
        print("bombed", flush=True)
time.sleep(600)
