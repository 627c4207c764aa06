"""One row of the matrix: whom SOURCE reaches. It runs in the network namespace of SOURCE itself."""

import collections
import concurrent.futures
import os
import pathlib
import socket
import time

import pytest
from matrix import NETWORKS, PORTS

SOURCE = os.environ["SOURCE"]
TARGETS = sorted(set(NETWORKS) - {SOURCE})
REACHABLE = [target for target in TARGETS if NETWORKS[SOURCE] & NETWORKS[target]]
UNREACHABLE = [target for target in TARGETS if target not in REACHABLE]

# How long silence has to last to be one, and how long to try for it. The engine takes its rules of isolation out for a moment
# whenever somebody creates a network, and then connections slip through. Where nothing is kept apart, they always do.
SECONDS = 2
TRYING_SECONDS = 15
PAUSE_SECONDS = 0.2


def addresses(target):
    return pathlib.Path("/found", target).read_text().split()


def is_answered(address, port):
    """Whether any answer comes back, be it that nobody listens."""
    try:
        socket.create_connection((address, port), SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def expected(target):
    return len(NETWORKS[SOURCE] & NETWORKS[target])


@pytest.fixture(scope="module")
def answering():
    """How many addresses of each target answer. All are tried at once, since silence takes its time, and one silence counts."""
    left = [(target, address) for target in TARGETS for address in addresses(target)]
    limit = time.monotonic() + TRYING_SECONDS
    with concurrent.futures.ThreadPoolExecutor(len(left)) as pool:
        while True:
            answers = list(pool.map(lambda one: is_answered(one[1], PORTS[one[0]]), left))
            left = [one for one, answer in zip(left, answers) if answer]
            counts = collections.Counter(target for target, _ in left)
            if all(counts[target] == expected(target) for target in TARGETS) or time.monotonic() > limit:
                return counts
            time.sleep(PAUSE_SECONDS)


@pytest.mark.parametrize("target", REACHABLE)
def test_reaches(target):
    assert is_answered(socket.gethostbyname(target), PORTS[target])


@pytest.mark.parametrize("target", UNREACHABLE)
def test_does_not_find(target):
    with pytest.raises(socket.gaierror):
        socket.gethostbyname(target)


@pytest.mark.parametrize("target", TARGETS)
def test_reaches_the_addresses_on_shared_networks_alone(target, answering):
    assert len(addresses(target)) == len(NETWORKS[target])
    assert answering[target] == expected(target)
