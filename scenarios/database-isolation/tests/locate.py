"""Writes down where HOST:PORT is on this network, and makes sure that it answers: `/found/HOST` gets a line.

Without that, a proof elsewhere that an address cannot be reached would prove nothing: it might be of nobody.
"""

import pathlib
import socket
import sys

SECONDS = 10

for target in sys.argv[1:]:
    host, port = target.split(":")
    address = socket.gethostbyname(host)
    socket.create_connection((address, int(port)), SECONDS).close()
    print(f"{host} answers at {address}:{port}")
    with pathlib.Path("/found", host).open("a") as file:
        file.write(f"{address}\n")
