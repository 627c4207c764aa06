"""Whether data survive the database's end: it is shut down for real, comes back, and everything is still there."""

import contextlib
import os
import time

import pymysql

# The way back takes about a second on an idle machine.
SECONDS = 60


def connect():
    return pymysql.connect(
        host=os.environ["DB_HOST"],
        port=int(os.environ["DB_PORT"]),
        user="root",
        password=os.environ["DB_ROOT_PASSWORD"],
        connect_timeout=5,
    )


def started_at(connection):
    """When this process of the server began, in seconds since 1970."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT UNIX_TIMESTAMP()")
        now = cursor.fetchone()[0]
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Uptime'")
        return now - int(cursor.fetchone()[1])


def until_there_is_another(started):
    """Waits for a process of the server that began later, and returns a connection to it."""
    limit = time.monotonic() + SECONDS
    while True:
        try:
            connection = connect()
            # Both figures are whole seconds, so one process may seem to have begun a second apart.
            if started_at(connection) > started + 1:
                return connection
            connection.close()
        except pymysql.err.MySQLError:
            # Nobody listens, or the old process hangs up on the way out.
            pass
        assert time.monotonic() < limit, f"the database was not back within {SECONDS} s"
        time.sleep(0.1)


def test_what_was_written_before_a_restart_is_there_after_it(client):
    status, todo = client.send("POST", "/todos", {"task": "Outlive the database"})
    assert status == 201
    _, before = client.send("GET", "/todos")
    connection = connect()
    started = started_at(connection)
    # The server may be gone before it has answered.
    with contextlib.suppress(pymysql.err.MySQLError), connection.cursor() as cursor:
        cursor.execute("SHUTDOWN")
    until_there_is_another(started).close()
    status, after = client.send("GET", "/todos")
    assert status == 200
    assert todo in after["todos"]
    # All of it, and each once: the init scripts have not run a second time.
    assert after == before
