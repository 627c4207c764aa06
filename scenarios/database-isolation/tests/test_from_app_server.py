"""Tried from inside of the application's own network namespace: it is on both networks."""

import socket

import pytest
from network import addresses, internet, is_answered


def test_it_reaches_the_database():
    assert addresses("production-db") == [socket.gethostbyname("production-db")]
    assert is_answered(socket.gethostbyname("production-db"), 5432)


@pytest.mark.skipif(internet() is None, reason="INTERNET names no host beyond this one")
def test_it_gets_out():
    assert is_answered(*internet())
