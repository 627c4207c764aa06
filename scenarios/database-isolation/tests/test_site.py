"""The application as the public has it: through the proxy."""

import json
import urllib.request


def test_what_is_in_the_database_comes_through_proxy_and_application():
    with urllib.request.urlopen("http://nginx-proxy/tasks", timeout=30) as answer:
        assert "welcome" in {task["project"] for task in json.load(answer)["tasks"]}
