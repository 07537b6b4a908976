"""Connects to a destination and hands the socket over to an agent's monitor, which migrates its guest there.

usage: hand-over.py MONITOR-SOCKET HOST PORT
Prints the answer to each command, one a line.
"""

import array
import json
import socket
import sys

monitor_path, host, port = sys.argv[1:]
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(monitor_path)
answers = monitor.makefile("r")
answers.readline()


def execute(command, arguments=None, descriptor=None):
    request = {"execute": command}
    if arguments is not None:
        request["arguments"] = arguments
    rights = [] if descriptor is None else [
        (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
    ]
    monitor.sendmsg([json.dumps(request).encode() + b"\n"], rights)
    while True:
        answer = json.loads(answers.readline())
        if "event" not in answer:
            break
    if command != "qmp_capabilities":
        print(json.dumps(answer.get("return", answer.get("error", {}).get("desc"))), flush=True)


execute("qmp_capabilities")
with socket.create_connection((host, int(port))) as destination:
    execute("getfd", {"fdname": "destination"})
    execute("getfd", {"fdname": "1st"}, destination.fileno())
    execute("closefd", {"fdname": "destination"})
    execute("getfd", {"fdname": "destination"}, destination.fileno())
execute("migrate", {"uri": "fd:destination"})
execute("closefd", {"fdname": "destination"})
