"""Holds one thread of a process still, the others go on, until its standard input ends: freeze.py TID"""
import ctypes
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
    if libc.ptrace(request, int(sys.argv[1]), None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
print("frozen", flush=True)
sys.stdin.read()
