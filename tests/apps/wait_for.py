"""Waits until the file named by its first argument is there; ends with the code of the second."""
import os
import sys
import time

print("waiting", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
sys.exit(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
