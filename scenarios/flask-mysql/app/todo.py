"""A to-do list over HTTP: GET and POST /todos, PATCH and DELETE /todos/ID, GET /health.

It connects to its database once at the start and ends where that fails. That the database is ready by then is not its
business, but that of whoever starts it.
"""

import os
import signal
import sys

import flask
import pymysql

LONGEST_TASK = 200
CONNECT_SECONDS = 5

app = flask.Flask(__name__)


def connect():
    return pymysql.connect(
        host=os.environ["DB_HOST"],
        port=int(os.environ["DB_PORT"]),
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        database=os.environ["DB_NAME"],
        charset="utf8mb4",
        connect_timeout=CONNECT_SECONDS,
        autocommit=True,
        cursorclass=pymysql.cursors.DictCursor,
    )


def query(statement, *values):
    """Runs one statement on a connection of its own, and returns its rows and its cursor."""
    connection = connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall(), cursor
    finally:
        connection.close()


@app.errorhandler(pymysql.err.OperationalError)
def no_database(error):
    print(f"the database does not answer: {error}", file=sys.stderr)
    return {"error": "the database does not answer"}, 503


@app.get("/health")
def health():
    query("SELECT 1")
    return {"status": "ok"}


@app.get("/todos")
def list_todos():
    rows, _ = query("SELECT id, task, done FROM todos ORDER BY id")
    return {"todos": [{**row, "done": bool(row["done"])} for row in rows]}


@app.post("/todos")
def add_todo():
    document = flask.request.get_json(silent=True)
    task = document.get("task") if isinstance(document, dict) else None
    if not isinstance(task, str) or not 0 < len(task) <= LONGEST_TASK:
        return {"error": f"task must be a text of 1 to {LONGEST_TASK} letters"}, 400
    _, cursor = query("INSERT INTO todos (task) VALUES (%s)", task)
    return {"id": cursor.lastrowid, "task": task, "done": False}, 201


@app.patch("/todos/<int:number>")
def finish_todo(number):
    rows, _ = query("SELECT id FROM todos WHERE id = %s", number)
    if not rows:
        return {"error": "there is no such task"}, 404
    query("UPDATE todos SET done = TRUE WHERE id = %s", number)
    return {"id": number, "done": True}


@app.delete("/todos/<int:number>")
def remove_todo(number):
    _, cursor = query("DELETE FROM todos WHERE id = %s", number)
    return ("", 204) if cursor.rowcount else ({"error": "there is no such task"}, 404)


def main():
    # As the first process of a container, Python would ignore this signal otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    connect().close()
    print(f"Connected to MySQL at host {os.environ['DB_HOST']}:{os.environ['DB_PORT']}")
    app.run(host="0.0.0.0", port=5000, threaded=True)


if __name__ == "__main__":
    main()
