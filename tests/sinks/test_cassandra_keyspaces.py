"""Tables that move to another keyspace: nobody's read fails, and nobody else moves them."""

import secrets
import threading
import time
from collections.abc import Iterator

import pytest

from millrace.sinks.cassandra_keyspaces import ActiveSpace, Keyspaces, SpaceMoved, Spaces
from millrace.sinks.cassandra_lock import Lock, LockHeld, LockLost
from millrace.sinks.cassandra_session import CassandraSession
from millrace.sinks.cassandra_tables import CassandraTables, FixedSpace
from millrace.sinks.migrations import Migration, migrate
from millrace.sinks.ports import Column, Row, StoreBusy, Table, Version
from millrace.sinks.tables import TABLES

NOTES = Table("notes", (Column("id", "text"),), (), (Column("text", "text"),))
NOTE = Row({"id": "n", "text": "kept"}, Version(0, 1))


def dropped(session: CassandraSession, prefix: str) -> None:
    for (name,) in session.run("SELECT keyspace_name FROM system_schema.keyspaces"):
        if name.startswith(prefix):
            session.define(f"DROP KEYSPACE {name}")


@pytest.fixture(scope="module")
def keyspaces(cassandra_session: CassandraSession) -> Iterator[Keyspaces]:
    """Prepared, with an active one; a test leaves another one active, and nothing besides."""
    made = Keyspaces(cassandra_session, f"t{secrets.token_hex(6)}")
    made.prepare()
    made.switch(None, filled(made))
    yield made
    dropped(cassandra_session, made.prefix)


def filled(keyspaces: Keyspaces, note: Row = NOTE) -> str:
    space = keyspaces.fresh()
    tables = CassandraTables(keyspaces.session, FixedSpace(space), lambda: 0)
    tables.create([NOTES])
    tables.upsert(NOTES, [note])
    return space


def test_a_rebuild_is_switched_to_rolled_back_and_dropped(keyspaces: Keyspaces) -> None:
    first, made = keyspaces.active(), keyspaces.state().made
    second = filled(keyspaces)
    assert keyspaces.active() == first
    keyspaces.switch(first, second)
    keyspaces.switch(first, second)  # as after an answer that was lost
    assert keyspaces.state() == Spaces(second, first, None, made + 1)
    assert keyspaces.roll_back() == first == keyspaces.active()
    with pytest.raises(SpaceMoved):
        keyspaces.drop(first)
    keyspaces.drop(second)
    assert keyspaces.state() == Spaces(first, None, None, made + 1)
    with pytest.raises(SpaceMoved):
        keyspaces.roll_back()


def test_what_a_killed_rebuild_left_is_dropped_by_the_next_and_never_switched_to(
    keyspaces: Keyspaces,
) -> None:
    first = keyspaces.active()
    killed = filled(keyspaces)
    assert keyspaces.leftovers() == ()
    following = filled(keyspaces)
    assert len({first, killed, following}) == 3
    there = keyspaces.session.run("SELECT keyspace_name FROM system_schema.keyspaces")
    assert (killed,) not in there
    assert (following,) in there
    with pytest.raises(SpaceMoved):
        keyspaces.switch(first, killed)
    assert keyspaces.active() == first
    keyspaces.drop(following)
    with pytest.raises(SpaceMoved):
        keyspaces.switch(first, following)
    with pytest.raises(ValueError, match="no keyspace of tables"):
        keyspaces.drop(keyspaces.prefix)


def test_a_keyspace_that_a_rebuild_made_after_another_had_begun_is_left_over(
    keyspaces: Keyspaces,
) -> None:
    """Killed, or asleep, between the decision for its keyspace and the making of it."""
    late = keyspaces.fresh()
    following = keyspaces.fresh()
    keyspaces.session.define(
        f"CREATE KEYSPACE {late} WITH replication ="
        " {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"
    )
    assert keyspaces.leftovers() == (late,)
    keyspaces.drop(following)
    keyspaces.drop(late)
    assert keyspaces.leftovers() == ()


def test_readers_go_over_without_a_failed_read_and_see_what_a_writer_wrote_meanwhile(
    keyspaces: Keyspaces,
) -> None:
    first = keyspaces.active()
    second = filled(keyspaces)
    space = ActiveSpace(keyspaces)
    tables = CassandraTables(keyspaces.session, space, lambda: 0)
    seen: set[str] = set()
    failed: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                assert tables.get(NOTES, ("n",)) is not None
                seen.add(space.name())
        except BaseException as problem:  # noqa: BLE001 - told by the assertion below
            failed.append(problem)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    keyspaces.switch(first, second)
    end_s = time.monotonic() + 5
    while second not in seen and not failed and time.monotonic() < end_s:
        time.sleep(0.01)
    keyspaces.drop(first)
    tables.upsert(NOTES, [Row(NOTE.values, Version(0, 2))])
    done.set()
    for reader in readers:
        reader.join()
    space.close()
    assert failed == []
    assert second in seen
    there = CassandraTables(keyspaces.session, FixedSpace(second), lambda: 0)
    assert there.get(NOTES, ("n",)) == Row(NOTE.values, Version(0, 2))


def test_several_runners_at_once_apply_each_migration_once(keyspaces: Keyspaces) -> None:
    done: list[int] = []
    told: list[tuple[int, ...]] = []
    steps = tuple(
        Migration(n, f"step {n}", lambda _, n=n: done.append(n))  # type: ignore[misc]
        for n in (2, 3)
    )

    def run() -> None:
        told.append(migrate(keyspaces, lambda: 0, steps))

    runners = [threading.Thread(target=run) for _ in range(4)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert done == [2, 3]
    assert sorted(told) == [(), (), (), (2, 3)]


def test_a_migrated_installation_has_every_table_and_is_not_migrated_again(
    cassandra_session: CassandraSession,
) -> None:
    keyspaces = Keyspaces(cassandra_session, f"t{secrets.token_hex(6)}")
    with pytest.raises(StoreBusy, match="migrate"):
        keyspaces.active()
    assert migrate(keyspaces, lambda: 0) == (1,)
    tables = CassandraTables(keyspaces.session, FixedSpace(keyspaces.active()), lambda: 0)
    for table in TABLES:
        assert list(tables.scan(table)) == []
    assert migrate(keyspaces, lambda: 0) == ()
    dropped(cassandra_session, keyspaces.prefix)


def test_a_lock_is_held_by_one_and_goes_on_when_its_owner_was_killed(
    keyspaces: Keyspaces,
) -> None:
    session = keyspaces.session
    mine, other = (Lock(session, keyspaces.prefix, "rebuild") for _ in range(2))
    with mine.held(1):
        mine.renew()
        with pytest.raises(LockHeld), other.held(0.3):
            pass
    with other.held(1), pytest.raises(LockLost):
        mine.renew()
    session.decide(
        f"INSERT INTO {keyspaces.prefix}.locks (name, owner) VALUES ('rebuild', 'killed')"
        " IF NOT EXISTS USING TTL 1"
    )
    with mine.held(5):
        assert session.agreed(f"SELECT owner FROM {keyspaces.prefix}.locks")
