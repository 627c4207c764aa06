"""The HTTP API: JSON in, JSON out.

GET /health; GET and POST /tasks; GET, PATCH and DELETE /tasks/ID. Errors are `{"error": "…"}` with a fitting status.
"""

import contextlib
import json
import os
import queue
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import psycopg2

from taskflow import store
from taskflow.tasks import NEXT_STATUSES, Conflict, InvalidInput, changes, new_task

PORT = int(os.environ.get("PORT", "3000"))
LARGEST_BODY = 64 * 1024
LARGEST_ID = 2**63 - 1
MOST_CONNECTIONS = 8
CONNECT_SECONDS = 5


class Connections:
    """Database connections that are made when first needed and then kept. Who asks for more than there may be, waits."""

    def __init__(self, url):
        self._url = url
        # The one used last is handed out first, so that a quiet server uses a single connection.
        self._idle = queue.LifoQueue()
        for _ in range(MOST_CONNECTIONS):
            self._idle.put(None)

    @contextlib.contextmanager
    def transaction(self):
        connection = self._idle.get()
        try:
            if connection is None:
                connection = psycopg2.connect(self._url, connect_timeout=CONNECT_SECONDS)
            with connection:
                yield connection
        finally:
            # One that the database has closed is given up, and its place is filled anew by the next request.
            if connection is not None and connection.closed:
                connection = None
            self._idle.put(connection)


class Refused(Exception):
    """An answer other than success: a status and a message for the client."""

    def __init__(self, status, message, headers=()):
        super().__init__(message)
        self.status = status
        self.headers = headers


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body go out in one packet; in two, the second would wait for the client's acknowledgement.
    wbufsize = -1

    connections = None

    def do_GET(self):
        self._answer("GET")

    def do_POST(self):
        self._answer("POST")

    def do_PATCH(self):
        self._answer("PATCH")

    def do_DELETE(self):
        self._answer("DELETE")

    def _answer(self, method):
        try:
            # The body is read whatever becomes of the request, since the next request on this connection follows it.
            body = self._body()
            status, document, headers = self._route(method, body)
        except Refused as refused:
            status, document, headers = refused.status, {"error": str(refused)}, refused.headers
        except InvalidInput as error:
            status, document, headers = 400, {"error": str(error)}, ()
        except Conflict as error:
            status, document, headers = 409, {"error": str(error)}, ()
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            print(f"the database does not answer: {str(error).strip()}", file=sys.stderr)
            status, document, headers = 503, {"error": "the database does not answer"}, ()
        self._send(status, document, headers)

    def _route(self, method, body):
        address = urlsplit(self.path)
        parts = address.path.strip("/").split("/")
        if parts == ["health"]:
            return self._dispatch(method, {"GET": self._health})
        if parts == ["tasks"]:
            filters = parse_qs(address.query, keep_blank_values=True)
            return self._dispatch(
                method, {"GET": lambda: self._list(filters), "POST": lambda: self._add(_json(body))}
            )
        if len(parts) == 2 and parts[0] == "tasks":
            number = _task_number(parts[1])
            return self._dispatch(
                method,
                {
                    "GET": lambda: self._find(number),
                    "PATCH": lambda: self._change(number, _json(body)),
                    "DELETE": lambda: self._remove(number),
                },
            )
        raise Refused(404, "there is nothing at this path")

    @staticmethod
    def _dispatch(method, actions):
        if method not in actions:
            raise Refused(405, f"{method} is not possible here", (("Allow", ", ".join(sorted(actions))),))
        return actions[method]()

    def _health(self):
        with self.connections.transaction() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        return 200, {"status": "ok"}, ()

    def _list(self, filters):
        project = _single(filters, "project")
        status = _single(filters, "status")
        if filters:
            raise InvalidInput(f"unknown filter: {', '.join(sorted(filters))}")
        if status is not None and status not in NEXT_STATUSES:
            raise InvalidInput(f"status must be one of: {', '.join(NEXT_STATUSES)}")
        if project is not None and not project.isprintable():
            raise InvalidInput("project must be one line of printable characters")
        with self.connections.transaction() as connection:
            return 200, {"tasks": store.list_tasks(connection, project, status)}, ()

    def _add(self, document):
        task = new_task(document)
        with self.connections.transaction() as connection:
            task = store.add(connection, task)
        return 201, task, (("Location", f"/tasks/{task['id']}"),)

    def _find(self, number):
        with self.connections.transaction() as connection:
            return 200, _existing(store.find(connection, number)), ()

    def _change(self, number, document):
        wanted = changes(document)
        with self.connections.transaction() as connection:
            return 200, _existing(store.change(connection, number, wanted)), ()

    def _remove(self, number):
        with self.connections.transaction() as connection:
            _existing(store.remove(connection, number))
        return 204, None, ()

    def _body(self):
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            # Where the body ends is unknown, so nothing after it can be understood.
            self.close_connection = True
            raise Refused(411, "a body needs a Content-Length")
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            raise Refused(413, f"a body must not be larger than {LARGEST_BODY} bytes")
        return self.rfile.read(int(length))

    def _send(self, status, document, headers):
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if document is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _task_number(text):
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput("the number of a task must be a whole number")
    # A number that the column cannot hold is not wrong in itself, only no task can have it.
    if len(text) > len(str(LARGEST_ID)) or int(text) > LARGEST_ID:
        raise Refused(404, "there is no such task")
    return int(text)


def _json(body):
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("the body is not JSON") from error


def _single(filters, name):
    values = filters.pop(name, [None])
    if len(values) != 1:
        raise InvalidInput(f"{name} may be given once")
    return values[0]


def _existing(task):
    if not task:
        raise Refused(404, "there is no such task")
    return task


def main():
    Handler.connections = Connections(os.environ["DATABASE_URL"])
    # As the first process of a container, Python would ignore this signal otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ThreadingHTTPServer(("", PORT), Handler) as server:
        print(f"listening on port {PORT}")
        server.serve_forever()


if __name__ == "__main__":
    main()
