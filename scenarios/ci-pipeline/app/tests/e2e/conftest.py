"""A client of the API, as small as a real one can be."""

import collections
import http.client
import json
import os
import urllib.parse
import uuid

import pytest

Answer = collections.namedtuple("Answer", "status body headers")


class Client:
    def __init__(self, base_url):
        address = urllib.parse.urlsplit(base_url)
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)

    def send(self, method, path, document=None, raw=None):
        """Sends a request and returns the answer with its body decoded from JSON."""
        body = raw if document is None else json.dumps(document)
        self._connection.request(method, path, body)
        response = self._connection.getresponse()
        content = response.read()
        return Answer(response.status, json.loads(content) if content else None, response.headers)

    def close(self):
        self._connection.close()


@pytest.fixture(scope="session")
def client():
    client = Client(os.environ["BASE_URL"])
    yield client
    client.close()


@pytest.fixture
def project():
    """A project that nobody else has, for other suites and other copies of this one use the same database."""
    return f"e2e-{uuid.uuid4()}"


@pytest.fixture
def task(client, project):
    """A task that is there before the test and gone after it."""
    answer = client.send("POST", "/tasks", {"project": project, "title": "Sweep"})
    assert answer.status == 201
    yield answer.body
    client.send("DELETE", f"/tasks/{answer.body['id']}")
