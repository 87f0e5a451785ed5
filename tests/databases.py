"""PostgreSQL databases for one test each."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy.engine import make_url


@contextmanager
def database() -> Iterator[str]:
    """Address of a new PostgreSQL database, dropped at the end."""
    server = os.environ.get("GENRE_TEST_POSTGRES", "")
    if not server:
        pytest.skip("GENRE_TEST_POSTGRES is not set; it is the address of a PostgreSQL database")
    name = f"genre_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
