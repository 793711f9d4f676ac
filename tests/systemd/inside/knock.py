"""Connects to a Unix socket without a pause until standard input ends; prints how often, and how
often that was refused."""
import json
import select
import socket
import sys

tries, refused = 0, []
while not select.select([sys.stdin], [], [], 0.0005)[0]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
        tries += 1
        try:
            knocking.connect(sys.argv[1])
        except OSError as error:
            refused.append(str(error))
print(json.dumps({"tries": tries, "refused": refused}))
