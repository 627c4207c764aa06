"""A client of the application, as small as a real one can be."""

import json
import os
import urllib.error
import urllib.request

import pytest


class Client:
    def __init__(self, base_url):
        self._base_url = base_url

    def send(self, method, path, document=None):
        """Sends a request, and returns the status and the body decoded from JSON."""
        request = urllib.request.Request(
            self._base_url + path,
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")


@pytest.fixture(scope="session")
def client():
    return Client(os.environ["BASE_URL"])
