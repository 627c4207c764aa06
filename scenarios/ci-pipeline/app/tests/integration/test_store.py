"""The SQL of the store against a real, migrated database."""

import os

import psycopg2
import pytest

from taskflow import store
from taskflow.migrate import MIGRATIONS, migrate
from taskflow.tasks import Conflict


def add(connection, project, title, priority="normal"):
    return store.add(connection, {"project": project, "title": title, "priority": priority})


def test_every_migration_is_recorded(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM schema_migrations ORDER BY name")
        recorded = [name for (name,) in cursor.fetchall()]
    assert recorded == sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    assert "001_tasks" in recorded


def test_migrating_again_does_nothing():
    # On a connection of its own, because migrating commits.
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    try:
        assert migrate(connection) == []
    finally:
        connection.close()


def test_a_migration_that_fails_leaves_nothing_behind(connection, tmp_path):
    (tmp_path / "900_good.sql").write_text("CREATE TABLE half_done (id int);")
    (tmp_path / "901_bad.sql").write_text("CREATE TABLE half_done (id int);")
    own_connection = psycopg2.connect(os.environ["DATABASE_URL"])
    try:
        with pytest.raises(psycopg2.errors.DuplicateTable):
            migrate(own_connection, tmp_path)
    finally:
        own_connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('half_done'), count(*) FROM schema_migrations WHERE name LIKE '90%'")
        assert cursor.fetchone() == (None, 0)


def test_the_seed_is_there_in_order_of_urgency(connection):
    tasks = store.list_tasks(connection, project="welcome")
    assert [(task["title"], task["priority"], task["status"]) for task in tasks] == [
        ("Write the Compose file", "high", "done"),
        ("Run the suites", "normal", "doing"),
        ("Look at the report", "low", "open"),
    ]


def test_an_added_task_is_found_as_it_was_added(connection, project):
    added = add(connection, project, "掃く 'or' \"drop\"; --", "high")
    assert added["title"] == "掃く 'or' \"drop\"; --"
    assert (added["priority"], added["status"], added["done_at"]) == ("high", "open", None)
    assert store.find(connection, added["id"]) == added


def test_a_title_is_unique_within_its_project_only(connection, project):
    add(connection, f"{project}-other", "Sweep")
    add(connection, project, "Sweep")
    with pytest.raises(Conflict, match="already"):
        add(connection, project, "Sweep")


def test_a_list_is_ordered_by_priority_and_then_by_age(connection, project):
    for title, priority in [("a", "low"), ("b", "high"), ("c", "normal"), ("d", "high")]:
        add(connection, project, title, priority)
    assert [task["title"] for task in store.list_tasks(connection, project=project)] == ["b", "d", "c", "a"]


def test_a_list_can_be_limited_to_a_status(connection, project):
    add(connection, project, "stays open")
    started = add(connection, project, "is started")
    store.change(connection, started["id"], {"status": "doing"})
    assert [task["title"] for task in store.list_tasks(connection, project, "doing")] == ["is started"]


def test_completing_a_task_sets_its_time_and_opening_it_again_clears_it(connection, project):
    number = add(connection, project, "Sweep")["id"]
    assert store.change(connection, number, {"status": "done"})["done_at"] is not None
    assert store.change(connection, number, {"status": "open"})["done_at"] is None


def test_changing_a_completed_task_keeps_the_time_of_its_completion(connection, project):
    number = add(connection, project, "Sweep")["id"]
    store.change(connection, number, {"status": "done"})
    # Within a transaction the clock of the database stands still, so the completion is moved to another time.
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tasks SET done_at = '2001-02-03 04:05:06+00' WHERE id = %s", (number,))
    before = store.find(connection, number)["done_at"]
    assert before.startswith("2001-02-0")
    for wanted in ({"priority": "low"}, {"status": "done"}):
        assert store.change(connection, number, wanted)["done_at"] == before


def test_a_forbidden_transition_changes_nothing(connection, project):
    number = add(connection, project, "Sweep")["id"]
    store.change(connection, number, {"status": "done"})
    with pytest.raises(Conflict):
        store.change(connection, number, {"status": "doing", "title": "Swept"})
    task = store.find(connection, number)
    assert (task["status"], task["title"]) == ("done", "Sweep")


def test_a_removed_task_is_gone(connection, project):
    number = add(connection, project, "Sweep")["id"]
    assert store.remove(connection, number) is True
    assert store.find(connection, number) is None
    assert store.remove(connection, number) is False
    assert store.change(connection, number, {"title": "Swept"}) is None


@pytest.mark.parametrize(
    "column, value", [("priority", "urgent"), ("status", "lost"), ("title", ""), ("project", ""), ("status", "done")]
)
def test_the_database_itself_refuses_what_the_rules_forbid(connection, project, column, value):
    row = {"project": project, "title": "Sweep", "priority": "normal", "status": "open", column: value}
    with connection.cursor() as cursor, pytest.raises(psycopg2.errors.CheckViolation):
        cursor.execute(
            "INSERT INTO tasks (project, title, priority, status) "
            "VALUES (%(project)s, %(title)s, %(priority)s, %(status)s)",
            row,
        )
