"""Writes texts to its output, and waits in between.

usage: speak.py FOLDER STEP ...

A step is TEXT for stdout (with escapes), !TEXT for stderr, or >NAME: wait until FOLDER/NAME is there.
"""
import os
import sys
import time

folder = sys.argv[1]
for step in sys.argv[2:]:
    if step.startswith(">"):
        while not os.path.exists(os.path.join(folder, step[1:])):
            time.sleep(0.01)
        continue
    stream = 2 if step.startswith("!") else 1
    os.write(stream, step.removeprefix("!").encode().decode("unicode_escape").encode())
