"""What can be seen of the network from where a test runs."""

import os
import pathlib
import socket
import time

# How long silence has to last to be one, and how long to try for it. The engine takes its rules of isolation out for a moment
# whenever somebody creates a network, and then connections slip through. Where nothing is kept apart, they always do.
SECONDS = 2
TRYING_SECONDS = 15
PAUSE_SECONDS = 0.2


def addresses(host):
    """Where a host is, on all networks that it is on."""
    return pathlib.Path("/found", host).read_text().split()


def is_answered(address, port):
    """Whether any answer comes back, be it that nobody listens."""
    try:
        socket.create_connection((address, port), SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def is_silent(address, port):
    """Whether nobody answers, not even that nobody listens."""
    limit = time.monotonic() + TRYING_SECONDS
    while is_answered(address, port):
        if time.monotonic() > limit:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def internet():
    """A host beyond the engine's host, as address and port; None where nobody has named one."""
    address, _, port = os.environ["INTERNET"].rpartition(":")
    return (address, int(port)) if address else None
