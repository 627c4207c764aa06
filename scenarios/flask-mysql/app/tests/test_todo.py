"""The to-do list over HTTP, on the network that it is on."""

import pytest

FROM_THE_INIT_SCRIPTS = ["Buy bread", "Buy café", "Buy milk"]


def test_what_the_init_scripts_wrote_is_there(client):
    status, body = client.send("GET", "/todos")
    assert status == 200
    assert [todo["task"] for todo in body["todos"]][:3] == FROM_THE_INIT_SCRIPTS


def test_a_task_is_added_done_and_removed(client):
    status, todo = client.send("POST", "/todos", {"task": "Sweep 🧹"})
    assert (status, todo["done"]) == (201, False)
    path = f"/todos/{todo['id']}"
    assert client.send("PATCH", path) == (200, {"id": todo["id"], "done": True})
    _, body = client.send("GET", "/todos")
    assert {"id": todo["id"], "task": "Sweep 🧹", "done": True} in body["todos"]
    assert client.send("DELETE", path)[0] == 204
    assert client.send("DELETE", path)[0] == 404


@pytest.mark.parametrize("document", [None, {}, {"task": ""}, {"task": 5}, {"task": "x" * 201}])
def test_what_is_no_task_is_refused(client, document):
    assert client.send("POST", "/todos", document)[0] == 400
