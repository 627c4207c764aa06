"""The tasks in the database. Each function takes a connection; committing or rolling back is the caller's."""

import psycopg2.errors

from taskflow.tasks import Conflict, check_transition

_COLUMNS = "id, project, title, priority, status, created_at, done_at"


def add(connection, task):
    """Stores a new task and returns it as stored. Raises Conflict where its project has one of that title."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(
                "INSERT INTO tasks (project, title, priority) VALUES (%(project)s, %(title)s, %(priority)s) "
                f"RETURNING {_COLUMNS}",
                task,
            )
        except psycopg2.errors.UniqueViolation as error:
            raise Conflict("the project has a task of this title already") from error
        return _task(cursor.fetchone())


def find(connection, number):
    """Returns one task, or None."""
    return _find(connection, number, "")


def list_tasks(connection, project=None, status=None):
    """Returns the tasks of a project and a status, or of all, the most urgent first."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM tasks "
            "WHERE (%(project)s IS NULL OR project = %(project)s) AND (%(status)s IS NULL OR status = %(status)s) "
            "ORDER BY array_position(ARRAY['high', 'normal', 'low'], priority), id",
            {"project": project, "status": status},
        )
        return [_task(row) for row in cursor.fetchall()]


def change(connection, number, wanted):
    """Changes a task and returns it, or None where there is none. Raises Conflict for a forbidden change of status."""
    # The row is locked first, so that two clients cannot both pass the check.
    current = _find(connection, number, "FOR UPDATE")
    if current is None:
        return None
    check_transition(current["status"], wanted.get("status", current["status"]))
    with connection.cursor() as cursor:
        try:
            cursor.execute(
                "UPDATE tasks SET title = %(title)s, priority = %(priority)s, status = %(status)s, "
                "done_at = CASE WHEN %(status)s = 'done' THEN coalesce(done_at, now()) END "
                f"WHERE id = %(id)s RETURNING {_COLUMNS}",
                {**current, **wanted},
            )
        except psycopg2.errors.UniqueViolation as error:
            raise Conflict("the project has a task of this title already") from error
        return _task(cursor.fetchone())


def remove(connection, number):
    """Removes a task and tells whether there was one."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM tasks WHERE id = %s", (number,))
        return cursor.rowcount == 1


def _find(connection, number, locking):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM tasks WHERE id = %s {locking}", (number,))
        row = cursor.fetchone()
        return None if row is None else _task(row)


def _task(row):
    task = dict(zip(_COLUMNS.split(", "), row))
    for name in ("created_at", "done_at"):
        task[name] = task[name] and task[name].isoformat()
    return task
