"""Writes the addresses of a host into /found/HOST, and makes sure that they can be reached from here.

Without that, a proof elsewhere that they cannot be reached would prove nothing: the address might be of nobody.
"""

import pathlib
import socket
import sys

PORT = 5432
SECONDS = 10

for host in sys.argv[1:]:
    addresses = sorted({found[4][0] for found in socket.getaddrinfo(host, PORT, socket.AF_INET)})
    for address in addresses:
        socket.create_connection((address, PORT), SECONDS).close()
        print(f"{host} answers at {address}:{PORT}")
    pathlib.Path("/found", host).write_text("\n".join(addresses))
