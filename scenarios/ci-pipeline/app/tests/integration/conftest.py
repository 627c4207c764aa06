"""A connection whose work is undone after each test, so that suites may share the database at the same time."""

import os
import uuid

import psycopg2
import pytest


@pytest.fixture(scope="session")
def session_connection():
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    yield connection
    connection.close()


@pytest.fixture
def connection(session_connection):
    yield session_connection
    session_connection.rollback()


@pytest.fixture
def project():
    """A project that nobody else has, for other suites and other copies of this one write to the same table."""
    return f"integration-{uuid.uuid4()}"
