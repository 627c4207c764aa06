"""Tried from the frontend network: the API is there, and the database is not."""

import json
import pathlib
import socket
import time
import urllib.request

import pytest

DATABASE_PORT = 5432

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


def test_the_api_is_found_by_name():
    assert socket.gethostbyname("taskflow-api")


def test_the_api_answers_with_what_is_in_the_database():
    with urllib.request.urlopen("http://taskflow-api:8000/tasks", timeout=10) as answer:
        tasks = json.load(answer)["tasks"]
    assert {"welcome"} <= {task["project"] for task in tasks}


def test_the_name_of_the_database_does_not_resolve():
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("taskflow-db", DATABASE_PORT)


@pytest.mark.parametrize("address", pathlib.Path("/found/taskflow-db").read_text().split())
def test_the_address_of_the_database_cannot_be_reached(address):
    assert is_silent(address, DATABASE_PORT)
