"""The sinks' own place in the shared servers: a keyspace a run."""

from collections.abc import Iterator

import pytest

from millrace.sinks.cassandra_session import CassandraPlace, CassandraSession
from tests.sinks.cassandra_space import CassandraSpace
from tests.stack.servers import SharedServer


@pytest.fixture(scope="session")
def cassandra_session(cassandra: SharedServer) -> Iterator[CassandraSession]:
    session = CassandraSession(CassandraPlace((cassandra.host,), cassandra.port))
    yield session
    session.close()


@pytest.fixture(scope="session")
def cassandra_space(cassandra_session: CassandraSession) -> Iterator[CassandraSpace]:
    space = CassandraSpace(cassandra_session)
    yield space
    space.drop()
