"""Writes down the addresses of the components that this network has, and makes sure that they answer.

Without that, a proof elsewhere that an address cannot be reached would prove nothing: it might be of nobody.
"""

import pathlib
import socket

from matrix import PORTS

SECONDS = 10

for component, port in PORTS.items():
    try:
        address = socket.gethostbyname(component)
    except socket.gaierror:
        print(f"{component} is not here")
        continue
    socket.create_connection((address, port), SECONDS).close()
    print(f"{component} answers at {address}:{port}")
    with pathlib.Path("/found", component).open("a") as file:
        file.write(f"{address}\n")
