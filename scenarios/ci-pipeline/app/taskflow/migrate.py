"""Brings the database's schema up to date, all of it or nothing. It tries once and waits for nothing."""

import os
import pathlib

import psycopg2

MIGRATIONS = pathlib.Path(__file__).parent.parent / "migrations"

# Any number will do, as long as all copies of this program use the same.
_LOCK = 20_150_923


def migrate(connection, directory=MIGRATIONS):
    """Applies the migrations that are missing, in the order of their names, and returns those names."""
    applied = []
    with connection, connection.cursor() as cursor:
        # Two copies started together would otherwise both find the same migrations missing.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations "
            "(name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor.execute("SELECT name FROM schema_migrations")
        known = {name for (name,) in cursor.fetchall()}
        for path in sorted(directory.glob("*.sql")):
            if path.stem not in known:
                cursor.execute(path.read_text(encoding="utf-8"))
                cursor.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (path.stem,))
                applied.append(path.stem)
    return applied


def main():
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    try:
        for name in migrate(connection):
            print(f"applied {name}")
        print("the schema is up to date")
    finally:
        connection.close()


if __name__ == "__main__":
    main()
