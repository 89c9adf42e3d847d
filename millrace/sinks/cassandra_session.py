"""The bridge to Cassandra's driver: connecting, statements, many in flight, and what is busy.

Nothing here repeats a statement: after a time-out nobody knows whether it was done, so the caller,
who knows that his is idempotent, does. It must never turn an unknown error into StoreBusy.
"""

import socket
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from cassandra import (
    ConsistencyLevel,
    CoordinationFailure,
    OperationTimedOut,
    Timeout,
    Unavailable,
)
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    Session,
)
from cassandra.connection import ConnectionBusy, ConnectionException
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    TokenAwarePolicy,
)
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import (
    IsBootstrappingErrorMessage,
    OverloadedErrorMessage,
    ServerError,
    TruncateError,
)
from cassandra.query import PreparedStatement, dict_factory, tuple_factory

from millrace.sinks.ports import StoreBusy

REQUEST_TIMEOUT_S = 2.0
DECISION_TIMEOUT_S = 5.0
# Tables are made by one thread of the server, 50 to 150 ms each, behind everybody else's.
DEFINITION_TIMEOUT_S = 30.0
# Back 0.3 s after the server is; with the driver's defaults it took 7 s (measured).
RECONNECT_S = 0.5
HEARTBEAT_S = 3
# More in flight made nothing faster and a slow server slower.
IN_FLIGHT_MAX = 64
_DECISION, _AGREED = "decision", "agreed"
_BUSY = (
    NoHostAvailable,
    OperationTimedOut,
    Timeout,
    Unavailable,
    CoordinationFailure,
    ConnectionException,
    ConnectionBusy,
    NoConnectionsAvailable,
    OverloadedErrorMessage,
    IsBootstrappingErrorMessage,
    TruncateError,
    ServerError,
)


@dataclass(frozen=True, slots=True)
class CassandraPlace:
    """Where Cassandra is: hosts to ask first, our datacenter there, copies of each row in it.

    With one copy the server must run `commitlog_sync: batch` or `group`; with `periodic`, its
    default, it loses writes that it has acknowledged when it is killed.
    """

    hosts: tuple[str, ...]
    port: int = 9042
    datacenter: str = "datacenter1"
    replicas: int = 1


@contextmanager
def busy_errors() -> Iterator[None]:
    """Raises StoreBusy for what says that the server is down, slow or overloaded."""
    try:
        yield
    except _BUSY as problem:
        raise StoreBusy(f"Cassandra: {problem}") from problem


class CassandraSession:
    """One a process, open until `close`; any thread may call. Never carry one over a fork.

    It connects by itself, at the start and whenever the server comes back; until then every call
    raises StoreBusy, at once where nobody answers, and after REQUEST_TIMEOUT_S where one is slow.
    """

    def __init__(self, place: CassandraPlace) -> None:
        self.place = place
        self._session: Session | None = None
        self._problem: Exception | None = None
        self._prepared: dict[str, PreparedStatement] = {}
        self._tried, self._closing = threading.Event(), threading.Event()
        self._connecting = threading.Thread(target=self._connect, name="cassandra", daemon=True)
        self._connecting.start()

    def close(self) -> None:
        self._closing.set()
        self._connecting.join()
        if self._session is not None:
            self._session.cluster.shutdown()

    def run(self, cql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one statement, which must be idempotent. Raises StoreBusy, InvalidRequest."""
        with busy_errors():
            return list(self._open().execute(self._statement(cql), values))

    def run_each(self, cql: str, many: Sequence[Sequence[Any]]) -> list[list[tuple[Any, ...]]]:
        """As `run` for each of the values, several in flight; rows in the order of the values.

        Raises what the first that failed raised, once no more are in flight.
        """
        with busy_errors():
            return _Burst(self._open(), self._statement(cql), many).run()

    def decide(self, cql: str, values: Sequence[Any] = ()) -> dict[str, Any]:
        """A conditional statement's answer: `[applied]`, and where it wasn't, what stands there.

        StoreBusy leaves open whether it was applied: look with `agreed`.
        """
        with busy_errors():
            statement = self._statement(cql)
            return dict(self._open().execute(statement, values, execution_profile=_DECISION).one())

    def agreed(self, cql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows as decisions left them, one that is half done included."""
        with busy_errors():
            statement = self._statement(cql)
            return list(self._open().execute(statement, values, execution_profile=_AGREED))

    def define(self, cql: str) -> None:
        """A statement that changes the schema, which must be idempotent (IF NOT EXISTS)."""
        with busy_errors():
            self._open().execute(cql, timeout=DEFINITION_TIMEOUT_S)

    def _open(self) -> Session:
        self._tried.wait()
        if self._session is None:
            raise StoreBusy(f"Cassandra: not connected yet: {self._problem!r}")
        return self._session

    def _statement(self, cql: str) -> PreparedStatement:
        statement = self._prepared.get(cql)
        if statement is None:
            statement = self._open().prepare(cql)
            statement.is_idempotent = True
            self._prepared[cql] = statement
        return statement

    def _connect(self) -> None:
        """Until it is connected once; from then on the driver comes back by itself."""
        while self._session is None and not self._closing.is_set():
            try:
                self._knock()
                self._session = self._cluster().connect()
            except Exception as problem:  # noqa: BLE001 - told by every call until it is over
                self._problem = problem
            self._tried.set()
            if self._session is None:
                self._closing.wait(RECONNECT_S)

    def _knock(self) -> None:
        """Raises where no host listens: the driver would log a traceback at every attempt."""
        for host in self.place.hosts[:-1]:
            with suppress(OSError), socket.create_connection((host, self.place.port), 2):
                return
        socket.create_connection((self.place.hosts[-1], self.place.port), 2).close()

    def _cluster(self) -> Cluster:
        """A new one for each attempt, since the driver shuts one down that could not connect."""
        profiles = {
            EXEC_PROFILE_DEFAULT: self._profile(tuple_factory, REQUEST_TIMEOUT_S),
            _DECISION: self._profile(dict_factory, DECISION_TIMEOUT_S),
            _AGREED: self._profile(dict_factory, DECISION_TIMEOUT_S, ConsistencyLevel.LOCAL_SERIAL),
        }
        return Cluster(
            self.place.hosts,
            self.place.port,
            execution_profiles=profiles,
            protocol_version=5,
            # Its default of 64 attempts would give a server up for good after half a minute.
            reconnection_policy=ConstantReconnectionPolicy(RECONNECT_S, max_attempts=None),
            connect_timeout=2,
            control_connection_timeout=2,
            idle_heartbeat_interval=HEARTBEAT_S,
            idle_heartbeat_timeout=HEARTBEAT_S,
            # A statement that the server has forgotten is prepared again when it is next used.
            reprepare_on_up=False,
        )

    def _profile(
        self, rows: Any, timeout_s: float, consistency: int = ConsistencyLevel.LOCAL_QUORUM
    ) -> ExecutionProfile:
        return ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(self.place.datacenter)),
            retry_policy=FallthroughRetryPolicy(),
            consistency_level=consistency,
            serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
            request_timeout=timeout_s,
            row_factory=rows,
        )


class _Burst:
    """One statement for many values. Answers gather while the driver's thread is at work, and the
    caller's wakes once for all of them: a wake an answer halves what a process can do.
    """

    def __init__(
        self, session: Session, statement: PreparedStatement, many: Sequence[Sequence[Any]]
    ) -> None:
        self._session, self._statement, self._many = session, statement, many
        self._answers: deque[tuple[int, Any, Exception | None]] = deque()
        self._some = threading.Event()
        self._rows: list[list[tuple[Any, ...]]] = [[] for _ in many]

    def run(self) -> list[list[tuple[Any, ...]]]:
        sent = in_flight = 0
        problem: Exception | None = None
        while True:
            while sent < len(self._many) and in_flight < IN_FLIGHT_MAX and problem is None:
                self._send(sent)
                sent, in_flight = sent + 1, in_flight + 1
            if not in_flight:
                break
            self._some.wait()
            self._some.clear()
            while self._answers:
                number, rows, failed = self._answers.popleft()
                self._rows[number] = rows or []
                problem, in_flight = problem or failed, in_flight - 1
        if problem is not None:
            raise problem
        return self._rows

    def _send(self, number: int) -> None:
        future = self._session.execute_async(self._statement, self._many[number])
        future.add_callbacks(
            self._landed, self._failed, callback_args=(number,), errback_args=(number,)
        )

    def _landed(self, rows: Any, number: int) -> None:
        self._answers.append((number, rows, None))
        self._some.set()

    def _failed(self, problem: Exception, number: int) -> None:
        self._answers.append((number, None, problem))
        self._some.set()
