"""A lock in Cassandra: one process at a time changes the schema, or rebuilds.

It is a courtesy, not a fence: an owner that sleeps past its time loses it without noticing, so
what is done under it must be harmless when it is done twice. It must never be held un-renewed.
"""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from millrace.sinks.cassandra_session import CassandraSession
from millrace.sinks.ports import SinkError, StoreBusy

# An owner that was killed keeps others out for so long.
LOCK_TTL_S = 30
RENEW_S = 10.0
LOOK_S = 0.2


class LockHeld(SinkError):
    """Somebody else has the lock, and kept it for as long as we were to wait."""


class LockLost(SinkError):
    """The lock went to somebody else: stop, and begin again."""


class Lock:
    """`name` in the table `locks` of a keyspace, by decisions alone: none of its writes is stamped.

    Not for two threads of a process at once.
    """

    def __init__(self, session: CassandraSession, keyspace: str, name: str) -> None:
        self._session = session
        self._table = f"{keyspace}.locks"
        self._name = name
        self._owner = secrets.token_hex(8)

    @contextmanager
    def held(self, wait_s: float) -> Iterator[None]:
        """Has the lock inside, renewed. Raises LockHeld, StoreBusy."""
        self._acquire(wait_s)
        done = threading.Event()
        renewing = threading.Thread(target=self._keep, args=(done,), name=f"lock {self._name}")
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()
            self._release()

    def renew(self) -> None:
        """Before each step that nobody else should do now. Raises LockLost, StoreBusy."""
        answer = self._session.decide(
            f"UPDATE {self._table} USING TTL {LOCK_TTL_S} SET owner = ? WHERE name = ?"
            " IF owner = ?",
            (self._owner, self._name, self._owner),
        )
        if not answer["[applied]"]:
            raise LockLost(f"the lock {self._name} was lost")

    def _acquire(self, wait_s: float) -> None:
        end_s = time.monotonic() + wait_s
        while True:
            holder = self._try()
            if holder == self._owner:
                return
            if time.monotonic() >= end_s:
                raise LockHeld(f"{holder or 'somebody else'} has the lock {self._name}")
            time.sleep(LOOK_S)

    def _try(self) -> str | None:
        """Who has it now. An attempt whose outcome was not known is told by the next one."""
        answer = self._session.decide(
            f"INSERT INTO {self._table} (name, owner) VALUES (?, ?) IF NOT EXISTS"
            f" USING TTL {LOCK_TTL_S}",
            (self._name, self._owner),
        )
        return self._owner if answer["[applied]"] else answer["owner"]

    def _keep(self, done: threading.Event) -> None:
        while not done.wait(RENEW_S):
            try:
                self.renew()
            except StoreBusy:
                continue
            except LockLost:
                return

    def _release(self) -> None:
        """Left to its time where the server is away."""
        try:
            self._session.decide(
                f"DELETE FROM {self._table} WHERE name = ? IF owner = ?", (self._name, self._owner)
            )
        except StoreBusy:
            return
