"""What Cassandra's tables do beyond their port: equal SQLite's, and follow a moving keyspace."""

from typing import Any

import pytest
from cassandra import InvalidRequest

from millrace.sinks.cassandra_rows import inserted
from millrace.sinks.cassandra_session import CassandraPlace, CassandraSession
from millrace.sinks.cassandra_tables import CassandraTables
from millrace.sinks.ports import Column, Row, StoreBusy, Table, Version
from millrace.sinks.sqlite_tables import SqliteTables
from tests.sinks.cassandra_space import CassandraSpace

DAY_S = 86_400
YEARS_20_S = 20 * 365 * DAY_S
TYPES = Table(
    "types",
    (Column("a", "text"), Column("b", "bool"), Column("c", "bytes")),
    (Column("d", "int"), Column("e", "bool"), Column("f", "bytes")),
    (
        Column("text", "text"),
        Column("int", "int"),
        Column("double", "double"),
        Column("bool", "bool"),
        Column("bytes", "bytes"),
        Column("json", "json"),
    ),
)
NOTES = Table("notes", (Column("id", "text"),), (), (Column("text", "text"),))


def make_types(number: int) -> Row:
    values: dict[str, Any] = {
        "a": f"ö{number % 7}", "b": number % 2 == 0, "c": bytes([number % 5, 255]),
        "d": (-1) ** number * number, "e": number % 3 == 0, "f": b"" if number % 2 else b"\0",
        "text": "\0 ☃", "int": 2**63 - 1, "double": 0.1, "bool": False,
        "bytes": bytes(range(256)), "json": {"ö": [1, 2.5, None, {}]},
    }  # fmt: skip
    if number % 4 == 0:
        values = {name: value for name, value in values.items() if len(name) == 1}
    return Row(values, Version(number % 3, number), number, deleted=number % 5 == 0)


def make_note(text: str, offset: int = 1) -> Row:
    return Row({"id": "n", "text": text}, Version(0, offset))


def test_equal_rows_have_the_digest_that_sqlite_gives_them(cassandra_space: CassandraSpace) -> None:
    both = SqliteTables(None, lambda: 0), cassandra_space.tables()
    for tables in both:
        tables.create([TYPES])
        tables.upsert(TYPES, [make_types(number) for number in range(300)])
    assert list(both[1].scan(TYPES)) == list(both[0].scan(TYPES))
    assert both[1].digest(TYPES) == both[0].digest(TYPES)
    cassandra_space.empty()


class MovingSpace:
    """Another keyspace from the first look after a write on."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    def name(self) -> str:
        return self.names[0]

    def confirmed(self) -> str:
        if len(self.names) > 1:
            del self.names[0]
        return self.names[0]


def test_a_row_written_while_the_tables_move_is_where_they_went(
    cassandra_space: CassandraSpace,
) -> None:
    other = CassandraSpace(cassandra_space.session)
    for space in (cassandra_space, other):
        space.tables().create([NOTES])
    moving = MovingSpace(cassandra_space.name, other.name)
    tables = CassandraTables(cassandra_space.session, moving, lambda: 0)
    tables.upsert(NOTES, [make_note("moved")])
    found = other.tables().get(NOTES, ("n",))
    other.drop()
    cassandra_space.empty()
    assert found == make_note("moved")


def test_a_keyspace_that_was_dropped_is_left_for_the_active_one(
    cassandra_space: CassandraSpace,
) -> None:
    gone = CassandraSpace(cassandra_space.session)
    for space in (cassandra_space, gone):
        space.tables().create([NOTES])
        space.tables().upsert(NOTES, [make_note("kept")])
        assert space.tables().get(NOTES, ("n",)) is not None
    gone.drop()
    session = cassandra_space.session
    reading, writing = (
        CassandraTables(session, MovingSpace(gone.name, cassandra_space.name), lambda: 0)
        for _ in range(2)
    )
    assert reading.get(NOTES, ("n",)) == make_note("kept")
    writing.upsert(NOTES, [make_note("newer", 2)])
    assert cassandra_space.tables().get(NOTES, ("n",)) == make_note("newer", 2)
    cassandra_space.empty()


def test_a_keyspace_that_is_missing_is_a_bug(cassandra_space: CassandraSpace) -> None:
    tables = CassandraTables(cassandra_space.session, MovingSpace("nowhere"), lambda: 0)
    with pytest.raises(InvalidRequest):
        tables.get(NOTES, ("n",))
    with pytest.raises(InvalidRequest):
        tables.upsert(NOTES, [make_note("lost")])


@pytest.mark.parametrize(
    ("age_s", "ttl_s"), [(0, 60 + DAY_S), (59.5, 1 + DAY_S), (61, DAY_S), (-(10**9), YEARS_20_S)]
)
def test_the_server_clears_a_row_away_a_day_after_its_time(age_s: float, ttl_s: int) -> None:
    """The day is for readers whose clocks differ from the server's."""
    sessions = Table("sessions", (Column("id", "text"),), ttl_s=60)
    now_ms = 1_800_000_000_000
    row = Row({"id": "s"}, Version(0, 1), at_ms=now_ms - round(age_s * 1000))
    assert inserted(sessions, row, now_ms)[-1] == ttl_s


def test_where_nobody_listens_every_call_is_busy_at_once() -> None:
    session = CassandraSession(CassandraPlace(("127.0.0.1",), 1))
    tables = CassandraTables(session, MovingSpace("any"), lambda: 0)
    for _ in range(3):
        with pytest.raises(StoreBusy, match="not connected"):
            tables.get(NOTES, ("n",))
    session.close()
