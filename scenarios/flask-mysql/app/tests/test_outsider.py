"""Tried from a container that is not on the network of the application."""

import pathlib
import socket
import time

import pytest

# How long silence has to last to be one, and how long to try for it. The engine takes its rules of isolation out for a moment
# whenever somebody creates a network, and then connections slip through. Where nothing is kept apart, they always do.
SECONDS = 2
TRYING_SECONDS = 15
PAUSE_SECONDS = 0.2


def is_silent(address, port):
    """Whether nobody answers, not even that nobody listens."""
    limit = time.monotonic() + TRYING_SECONDS
    while time.monotonic() < limit:
        try:
            socket.create_connection((address, port), SECONDS).close()
        except ConnectionRefusedError:
            pass
        except OSError:
            return True
        time.sleep(PAUSE_SECONDS)
    return False


@pytest.mark.parametrize("host", ["todo-mysql", "two-tier-todo"])
def test_no_name_resolves(host):
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(host, None)


@pytest.mark.parametrize("address", pathlib.Path("/found/todo-mysql").read_text().split())
def test_the_address_of_the_database_cannot_be_reached(address):
    assert is_silent(address, 3306)
