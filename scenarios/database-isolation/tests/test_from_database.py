"""Tried from inside of the database's own network namespace: it cannot get out."""

import socket

import pytest
from network import addresses, internet, is_answered, is_silent


@pytest.mark.skipif(internet() is None, reason="INTERNET names no host beyond this one")
def test_it_cannot_get_out():
    assert is_silent(*internet())


def test_the_public_network_is_not_reached():
    with pytest.raises(socket.gaierror):
        socket.gethostbyname("nginx-proxy")
    (address,) = addresses("nginx-proxy")
    assert is_silent(address, 80)


def test_of_the_application_only_the_internal_address_answers():
    own = socket.gethostbyname("app-server")
    assert is_answered(own, 3000)
    (other,) = set(addresses("app-server")) - {own}
    assert is_silent(other, 3000)
