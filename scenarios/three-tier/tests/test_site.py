"""The application as its users have it: by TLS, through the gateway."""

import json
import ssl
import urllib.error
import urllib.request

import pytest


@pytest.fixture(scope="module")
def get():
    # The certificate was made for this run alone, and is verified like any other.
    context = ssl.create_default_context(cafile="/certificates/gateway.crt")

    def get(path):
        with urllib.request.urlopen("https://api-gateway" + path, timeout=30, context=context) as answer:
            return answer.read().decode()

    return get


def test_the_page_comes_from_the_web_ui(get):
    assert "<title>Tasks</title>" in get("/")


def test_the_tasks_come_from_the_database_through_gateway_and_api(get):
    assert "welcome" in {task["project"] for task in json.loads(get("/api/tasks"))["tasks"]}


def test_the_certificate_is_what_is_trusted():
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen("https://api-gateway/", timeout=30)
