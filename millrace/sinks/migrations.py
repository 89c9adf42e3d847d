"""What `millrace migrate` does to Cassandra: each numbered step once, whoever runs it how often.

Rows are never migrated: a table of another shape is made again from the log, in a fresh keyspace.
So a step may only make or drop what the log can fill again, and must be harmless when it is done
twice, since a runner may be killed between a step and its record.
"""

from collections.abc import Callable
from dataclasses import dataclass

from millrace.sinks.cassandra_keyspaces import Keyspaces
from millrace.sinks.cassandra_lock import Lock
from millrace.sinks.cassandra_tables import CassandraTables, FixedSpace
from millrace.sinks.tables import TABLES

SCHEMA_LOCK = "schema"
LOCK_WAIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Migration:
    """A step; its number is permanent and larger than those before it."""

    number: int
    what: str
    apply: Callable[[Keyspaces], None]


def first_tables(keyspaces: Keyspaces) -> None:
    """The first keyspace of tables."""
    if keyspaces.state().active is None:
        space = keyspaces.fresh()
        CassandraTables(keyspaces.session, FixedSpace(space), lambda: 0).create(TABLES)
        keyspaces.switch(None, space)


MIGRATIONS = (Migration(1, "the first keyspace of tables", first_tables),)


def migrate(
    keyspaces: Keyspaces,
    now_ms: Callable[[], int],
    migrations: tuple[Migration, ...] = MIGRATIONS,
) -> tuple[int, ...]:
    """Applies what is missing, in order, then makes tables that are new; the numbers applied now.

    Raises StoreBusy, LockHeld and LockLost (run it again), and ValueError where a table stands in
    another shape: that is a rebuild.
    """
    session, prefix = keyspaces.session, keyspaces.prefix
    keyspaces.prepare()
    lock = Lock(session, prefix, SCHEMA_LOCK)
    applied = []
    with lock.held(LOCK_WAIT_S):
        known = {n for (n,) in session.run(f"SELECT number FROM {prefix}.schema_version")}
        for migration in migrations:
            if migration.number not in known:
                lock.renew()
                migration.apply(keyspaces)
                session.run(
                    f"INSERT INTO {prefix}.schema_version (number, what, at_ms) VALUES (?, ?, ?)",
                    (migration.number, migration.what, now_ms()),
                )
                applied.append(migration.number)
        lock.renew()
        CassandraTables(session, FixedSpace(keyspaces.active()), now_ms).create(TABLES)
    return tuple(applied)
