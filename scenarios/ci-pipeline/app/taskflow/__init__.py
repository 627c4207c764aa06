"""A small task list: an HTTP API on a PostgreSQL database."""
