"""A keyspace of the tests' own in a real Cassandra, whose tables are made once and emptied often.

Making a table costs 100 ms and more, so tests share those of one name and shape.
"""

import secrets
from collections.abc import Callable

from millrace.sinks.cassandra_session import CassandraSession
from millrace.sinks.cassandra_tables import CassandraTables, FixedSpace


class CassandraSpace:
    """A fresh keyspace, dropped by `drop`."""

    def __init__(self, session: CassandraSession) -> None:
        self.session = session
        self.name = f"t{secrets.token_hex(6)}"
        session.define(
            f"CREATE KEYSPACE {self.name} WITH replication ="
            " {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"
        )

    def tables(self, now_ms: Callable[[], int] = lambda: 0) -> CassandraTables:
        return CassandraTables(self.session, FixedSpace(self.name), now_ms)

    def empty(self) -> None:
        """Empties the tables that hold anything."""
        there = self.session.run(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", (self.name,)
        )
        for (table,) in there:
            if self.session.run(f'SELECT * FROM {self.name}."{table}" LIMIT 1'):
                self.session.define(f'TRUNCATE {self.name}."{table}"')

    def drop(self) -> None:
        self.session.define(f"DROP KEYSPACE {self.name}")
