"""Tried from inside of the proxy's own network namespace: to the public, there is no database."""

import socket

import pytest
from network import addresses, is_answered, is_silent


def test_it_reaches_the_application():
    assert is_answered(socket.gethostbyname("app-server"), 3000)


def test_the_database_is_not_found():
    with pytest.raises(socket.gaierror):
        socket.gethostbyname("production-db")


def test_the_database_is_not_reached():
    (address,) = addresses("production-db")
    assert is_silent(address, 5432)
