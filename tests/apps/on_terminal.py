"""Runs a program on a terminal until a text is seen, then takes the terminal away.

usage: on_terminal.py TEXT PROGRAM [ARGUMENT ...]
Prints the process id once the text is there; takes the terminal away when its own input ends; then
prints how the program ended, if it is told to wait for that by the line "wait".
"""
import os
import pty
import select
import sys
import termios

text, command = sys.argv[1].encode(), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    termios.tcsetwinsize(0, (24, 80))
    os.execv(command[0], command)
seen = b""
while text not in seen:
    seen += os.read(terminal, 65536)
print(pid, flush=True)
line = ""
while line == "":
    ready, _, _ = select.select([terminal, sys.stdin], [], [])
    if terminal in ready:
        os.read(terminal, 65536)
    if sys.stdin in ready:
        line = sys.stdin.readline() or "end"
os.close(terminal)
if line.strip() == "wait":
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
