"""Which keyspace the tables are in, and how they move to another one (RPL-1).

A rebuild fills a fresh keyspace beside the live one, compares, and switches one row, `spaces`.
Readers and writers look at that row; nobody must ever be sent to a keyspace that is half full, or
that somebody has dropped.
"""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from millrace.sinks.cassandra_session import CassandraSession
from millrace.sinks.ports import SinkError, StoreBusy

POLL_S = 0.25
_PREFIX = re.compile(r"[a-z][a-z0-9_]{0,31}")
# The tables beside the rows: who may change the schema, what was changed, where the rows are.
_CONTROL = {
    "locks": "name text PRIMARY KEY, owner text",
    "schema_version": "number int PRIMARY KEY, what text, at_ms bigint",
    "spaces": "name text PRIMARY KEY, active text, previous text, fresh text, made int",
}


class SpaceMoved(SinkError):
    """The keyspaces are not as you thought: somebody else switched, rebuilds or dropped."""


@dataclass(frozen=True, slots=True)
class Spaces:
    """Where rows are read, where they were before, what is being filled; made counts them all."""

    active: str | None
    previous: str | None
    fresh: str | None
    made: int


class Keyspaces:
    """An installation's keyspaces: `prefix` holds these decisions, `prefix_1`, ... the rows.

    The way of a rebuild: fresh; make the tables there and fill them from the log; compare; switch;
    then read the log on into the new keyspace up to an end that is sampled after the switch, since
    what was projected before it went to the old one; drop the old one later. A switch or a roll
    back leaves a keyspace behind that gets no more rows: who rolls back reads the log on into the
    old one in the same way. Every call may raise StoreBusy, and may then be repeated.
    """

    def __init__(self, session: CassandraSession, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(f"a prefix of keyspaces is {_PREFIX.pattern}, not {prefix!r}")
        self.session = session
        self.prefix = prefix

    def prepare(self) -> None:
        """Makes the keyspace and tables of decisions where they are missing."""
        tables = self.session.run(
            "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", (self.prefix,)
        )
        missing = _CONTROL.keys() - {name for (name,) in tables}
        if missing:
            self._create(self.prefix)
        for name in sorted(missing):
            self.session.define(
                f"CREATE TABLE IF NOT EXISTS {self.prefix}.{name} ({_CONTROL[name]})"
            )
        self.session.decide(
            f"INSERT INTO {self.prefix}.spaces (name, made) VALUES ('tables', 0) IF NOT EXISTS"
        )

    def state(self) -> Spaces:
        (row,) = self.session.agreed(
            f"SELECT active, previous, fresh, made FROM {self.prefix}.spaces WHERE name = 'tables'"
        )
        return Spaces(**row)

    def active(self) -> str:
        """The keyspace that is read. Raises StoreBusy where there is none yet."""
        there = self.session.run(
            "SELECT keyspace_name FROM system_schema.tables"
            " WHERE keyspace_name = ? AND table_name = 'spaces'",
            (self.prefix,),
        )
        if there:
            select = f"SELECT active FROM {self.prefix}.spaces WHERE name = 'tables'"
            for (name,) in self.session.run(select):
                if name is not None:
                    return str(name)
        raise StoreBusy(f"{self.prefix} has no tables yet: they are made by `millrace migrate`")

    def fresh(self) -> str:
        """A new keyspace without tables; what another rebuild was filling is dropped.

        Hold a Lock to be polite to that one: it can't switch any more. Raises SpaceMoved.
        """
        before = self.state()
        name, made = f"{self.prefix}_{before.made + 1}", before.made + 1
        self._decide("fresh = ?, made = ? ", "made = ?", (name, made, before.made))
        self._create(name)
        for left in self.leftovers():
            self.drop(left)
        return name

    def switch(self, expected: str | None, to: str) -> None:
        """Makes `to`, which `fresh` has given, the active one where `expected` was.

        Readers follow within POLL_S. Raises SpaceMoved, also where another rebuild has begun.
        """
        change = "active = ?, previous = ?, fresh = ?", "active = ? AND fresh = ?"
        try:
            self._decide(*change, (to, expected, None, expected, to))
        except SpaceMoved:
            after = self.state()
            # An earlier attempt, whose outcome nobody knew, was applied after all.
            if (after.active, after.previous) != (to, expected):
                raise

    def roll_back(self) -> str:
        """Makes the previous keyspace the active one again, and returns it. Raises SpaceMoved."""
        before = self.state()
        if before.previous is None:
            raise SpaceMoved(f"{before.active} has no predecessor any more")
        values = (before.previous, before.active, before.active, before.previous)
        self._decide("active = ?, previous = ?", "active = ? AND previous = ?", values)
        return before.previous

    def leftovers(self) -> tuple[str, ...]:
        """Keyspaces that are neither read, nor the way back, nor being filled."""
        state = self.state()
        used = {state.active, state.previous, state.fresh}
        own = re.compile(rf"{self.prefix}_[1-9][0-9]*")
        there = self.session.run("SELECT keyspace_name FROM system_schema.keyspaces")
        return tuple(sorted(name for (name,) in there if own.fullmatch(name) and name not in used))

    def drop(self, name: str) -> None:
        """Drops a keyspace of ours, the way back and the one being filled included.

        Raises SpaceMoved where it is the active one.
        """
        if not re.fullmatch(rf"{self.prefix}_[1-9][0-9]*", name):
            raise ValueError(f"{name!r} is no keyspace of tables of {self.prefix}")
        state = self.state()
        if name == state.active:
            raise SpaceMoved(f"{name} is read")
        if name == state.previous:
            self._decide("previous = ?", "previous = ? AND active = ?", (None, name, state.active))
        if name == state.fresh:
            self._decide("fresh = ?", "fresh = ?", (None, name))
        self.session.define(f"DROP KEYSPACE IF EXISTS {name}")

    def _decide(self, change: str, condition: str, values: Iterable[str | int | None]) -> None:
        answer = self.session.decide(
            f"UPDATE {self.prefix}.spaces SET {change} WHERE name = 'tables' IF {condition}",
            tuple(values),
        )
        if not answer["[applied]"]:
            stands = {name: value for name, value in answer.items() if name != "[applied]"}
            raise SpaceMoved(f"the keyspaces of {self.prefix} are {stands}")

    def _create(self, name: str) -> None:
        place = self.session.place
        self.session.define(
            f"CREATE KEYSPACE IF NOT EXISTS {name} WITH replication ="
            f" {{'class': 'NetworkTopologyStrategy', '{place.datacenter}': {place.replicas}}}"
        )


class ActiveSpace:
    """The active keyspace, looked at every POLL_S by a thread of its own, from here to `close`."""

    def __init__(self, keyspaces: Keyspaces) -> None:
        self._keyspaces = keyspaces
        self._name: str | None = None
        self._closing = threading.Event()
        self._polling = threading.Thread(target=self._poll, name="active keyspace", daemon=True)
        self._polling.start()

    def close(self) -> None:
        self._closing.set()
        self._polling.join()

    def name(self) -> str:
        return self._name or self.confirmed()

    def confirmed(self) -> str:
        self._name = self._keyspaces.active()
        return self._name

    def _poll(self) -> None:
        while not self._closing.wait(POLL_S):
            try:
                self.confirmed()
            except StoreBusy:
                # The rows are where they were, as far as anybody can know now.
                continue
