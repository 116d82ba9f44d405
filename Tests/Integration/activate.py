"""Runs a program as the service manager does: with listening sockets from descriptor 3 on.

Usage: activate.py DESCRIPTORS COUNT PROGRAM ARGUMENT...: DESCRIPTORS, separated by commas, become 3, 4, …; COUNT is
what LISTEN_FDS says.
"""

import fcntl
import os
import sys

# Out of the way first, so that no descriptor is overwritten before it was moved.
moved = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in sys.argv[1].split(",") if number]
for place, descriptor in enumerate(moved):
    os.dup2(descriptor, 3 + place)
    os.close(descriptor)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": sys.argv[2], "LISTEN_FDNAMES": "varlink"}
os.execv(sys.argv[3], sys.argv[3:])
