"""Writes as many MiB as its argument says, half of it in one line without an end."""
import sys

out = sys.stdout.buffer
line = b"x" * 99 + b"\n"
block = line * 10486
for _ in range(int(sys.argv[1]) // 2):
    out.write(block)
endless = b"y" * (1 << 20)
for _ in range(int(sys.argv[1]) // 2):
    out.write(endless)
out.write(b"\nthe end\n")
