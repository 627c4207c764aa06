"""The API as a client sees it: over HTTP, with the database behind it."""

from concurrent.futures import ThreadPoolExecutor
import os

import pytest

from conftest import Client


def test_the_service_is_healthy(client):
    answer = client.send("GET", "/health")
    assert (answer.status, answer.body) == (200, {"status": "ok"})


def test_the_seeded_tasks_are_listed(client):
    answer = client.send("GET", "/tasks?project=welcome")
    assert answer.status == 200
    assert [task["title"] for task in answer.body["tasks"]] == [
        "Write the Compose file",
        "Run the suites",
        "Look at the report",
    ]


def test_a_task_goes_through_its_whole_life(client, project):
    created = client.send("POST", "/tasks", {"project": project, "title": "Sweep", "priority": "high"})
    assert created.status == 201
    address = created.headers["Location"]
    assert address == f"/tasks/{created.body['id']}"
    assert client.send("GET", address).body == created.body

    changed = client.send("PATCH", address, {"status": "done"})
    assert (changed.status, changed.body["status"]) == (200, "done")
    assert changed.body["done_at"] is not None
    assert client.send("GET", address).body == changed.body

    removed = client.send("DELETE", address)
    assert (removed.status, removed.body) == (204, None)
    assert client.send("GET", address).status == 404


def test_a_list_is_limited_to_a_project_and_a_status(client, task):
    other = client.send("POST", "/tasks", {"project": task["project"], "title": "Mop"}).body
    client.send("PATCH", f"/tasks/{other['id']}", {"status": "doing"})
    listed = client.send("GET", f"/tasks?project={task['project']}&status=open").body["tasks"]
    assert [entry["id"] for entry in listed] == [task["id"]]
    client.send("DELETE", f"/tasks/{other['id']}")


@pytest.mark.parametrize(
    "raw, message",
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[]", "JSON object"),
        ("{}", "project is missing"),
        ('{"project": "p", "title": " "}', "title must not be empty"),
        ('{"project": "p", "title": "zero\\u0000byte"}', "printable"),
        ('{"project": "p", "title": "t", "priority": "urgent"}', "low, normal, high"),
    ],
)
def test_a_body_that_is_not_a_task_is_refused_with_the_reason(client, raw, message):
    answer = client.send("POST", "/tasks", raw=raw)
    assert answer.status == 400
    assert message in answer.body["error"]


@pytest.mark.parametrize("path", ["/tasks?status=lost", "/tasks?colour=red", "/tasks/first", "/tasks/-1"])
def test_an_address_that_makes_no_sense_is_refused(client, path):
    answer = client.send("GET", path)
    assert answer.status == 400
    assert answer.body["error"]


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("number", ["0", "9223372036854775807", "99999999999999999999"])
def test_a_task_that_does_not_exist_is_not_found(client, method, number):
    answer = client.send(method, f"/tasks/{number}", {"title": "Mop"} if method == "PATCH" else None)
    assert (answer.status, answer.body) == (404, {"error": "there is no such task"})


def test_an_unknown_path_is_not_found(client):
    assert client.send("GET", "/nowhere").status == 404


def test_an_impossible_method_is_answered_with_the_possible_ones(client):
    answer = client.send("DELETE", "/tasks")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")


def test_a_title_that_is_taken_is_a_conflict(client, task):
    answer = client.send("POST", "/tasks", {"project": task["project"], "title": task["title"]})
    assert answer.status == 409


def test_a_forbidden_transition_is_a_conflict_and_changes_nothing(client, task):
    address = f"/tasks/{task['id']}"
    client.send("PATCH", address, {"status": "done"})
    answer = client.send("PATCH", address, {"status": "doing"})
    assert answer.status == 409
    assert client.send("GET", address).body["status"] == "done"


def test_of_many_who_add_the_same_task_at_once_one_succeeds(project):
    def add(_):
        client = Client(os.environ["BASE_URL"])
        try:
            return client.send("POST", "/tasks", {"project": project, "title": "Sweep"})
        finally:
            client.close()

    with ThreadPoolExecutor(max_workers=12) as pool:
        answers = list(pool.map(add, range(12)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 11
