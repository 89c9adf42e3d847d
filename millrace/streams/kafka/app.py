"""The one Faust app of a worker process: its settings, what it hosts, how it starts and ends.

Works and projections are its agents, transactional tasks are services of it, so that lifecycle,
sensors and the `faust` command line are one. It must never declare a topic, keep a table, run a
timer or a web server of Faust's: each was measured to lose events or to be in the way.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import faust
from faust.streams import Stream
from faust.types import TP, StreamT
from mode import Service
from mode.types import ServiceT

from millrace.schemas.topics import Topic
from millrace.streams.kafka.cluster import Cluster
from millrace.streams.kafka.intake import Intake
from millrace.streams.kafka.transport import Consumer, Transport
from millrace.streams.kafka.watchdog import Watchdog, end
from millrace.streams.metrics import Metrics

COMMIT_S = 0.5
# Faust counts the seconds since anything was polled; an idle member must stay in its group.
NEVER_S = 1_000_000.0
# An agent takes at once what is put down for it, so its buffer holds a poll or two at most.
BUFFER_POLLS = 4
FETCH_BYTES = 1 << 20
# A process whose event loop or group membership stood still for so long is started anew.
WEDGED_S = 120.0
# How long Faust's own end may take, beyond what steps get to end what they have in hand.
STOP_S = 15.0
# The loop gives a sign so often; it stands still when none came for that long.
BEAT_S = 1.0
BEATS_MISSED_S = 5.0


class Hosted(Protocol):
    """A step, or several, behind an agent."""

    @property
    def intake(self) -> Intake: ...
    async def hand_back(self) -> None:
        """Ends what is in hand, within a bound; begins nothing new."""
        ...

    def lost(self) -> None:
        """Partitions were taken away."""
        ...

    def took(self, assigned: frozenset[TP]) -> None:
        """These partitions are this process's now."""
        ...


@dataclass(frozen=True, slots=True)
class Membership:
    """How a process takes part in its group.

    instance is a permanent name of this process among its group's: one that comes back within the
    session timeout gets its partitions again and nobody else notices. hand_back_s bounds how long
    what is in hand may go on when partitions or the process go.
    """

    instance: str | None = None
    hand_back_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Reading:
    """How much is read ahead: records of one poll, and of a partition that may be undone."""

    poll_records: int
    open_max: int


def settings(cluster: Cluster, membership: Membership, reading: Reading) -> dict[str, Any]:
    """Faust's settings, in seconds; kafka.md's, measured."""
    session_s = cluster.session_timeout_ms / 1000
    rebalance_s = max(session_s, membership.hand_back_s + 30.0)
    return {
        "broker": "kafka://" + cluster.bootstrap.replace(",", ";kafka://"),
        "store": "memory://",
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "stream_wait_empty": False,
        "stream_buffer_maxsize": BUFFER_POLLS * reading.poll_records,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": membership.instance,
        "consumer_max_fetch_size": FETCH_BYTES,
        "broker_client_id": "millrace",
        "broker_commit_interval": COMMIT_S,
        "broker_max_poll_interval": NEVER_S,
        "broker_max_poll_records": reading.poll_records,
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": session_s / 3.3,
        "broker_rebalance_timeout": rebalance_s,
        "broker_request_timeout": rebalance_s + 30.0,
        "producer_acks": -1,
    }


class App(faust.App):
    """A member of one group, from `run`'s beginning to its end. Built within the running loop."""

    def __init__(
        self,
        cluster: Cluster,
        group: str,
        metrics: Metrics,
        membership: Membership,
        reading: Reading,
    ) -> None:
        super().__init__(cluster.group(group), **settings(cluster, membership, reading))
        self.transport = Transport(self.conf.broker_consumer, self)
        self.metrics = metrics
        self.membership = membership
        # Set when the first partitions came and are read; again after every change of them.
        self.is_reading = asyncio.Event()
        self._cluster = cluster
        self._group = group
        self.open_max = reading.open_max
        self._services: list[Service] = []
        self._hosted: list[Hosted] = []
        self._failed = asyncio.Event()
        self._beat_s = time.monotonic()

    def host(self, name: str, topic: Topic, hosted: Hosted) -> None:
        """Makes an agent of that name, which hands the topic's records to whoever is hosted."""
        channel = self.topic(
            self._cluster.topic(topic),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )

        async def agent(stream: StreamT[Any]) -> None:
            """Hands records to the step of this name."""
            try:
                await hosted.intake.run(cast("Stream[Any]", stream))
            except Exception as bug:  # noqa: BLE001 - ends the process; Faust would drop and go on
                self.fail(bug)

        agent.__name__ = agent.__qualname__ = name
        self.agent(channel, name=name)(agent)
        self._hosted.append(hosted)

    def serve(self, service: Service) -> None:
        """Begins and ends a service with the app; called before `run`."""
        self._services.append(service)

    def on_init_dependencies(self) -> Iterable[ServiceT]:
        return [*super().on_init_dependencies(), *self._services]

    def _create_directories(self) -> None:
        """Faust keeps tables there, and we keep none."""

    # -- the transport's member

    async def hand_back(self) -> None:
        self.is_reading.clear()
        await asyncio.gather(*(hosted.hand_back() for hosted in self._hosted))

    def lost(self) -> None:
        for hosted in self._hosted:
            hosted.lost()

    def took(self, assigned: frozenset[TP]) -> None:
        self.metrics.put("millrace_partitions", len(assigned), group=self._group)
        for hosted in self._hosted:
            hosted.took(assigned)
        if not assigned:
            # A member more than there are partitions stands by, and Faust seeks nothing for it.
            self.is_reading.set()

    def reads(self) -> None:
        self.is_reading.set()

    def committed(self) -> None:
        self.metrics.add("millrace_group_commits_total", group=self._group)

    # -- beginning and end

    def fail(self, bug: BaseException) -> None:
        """A bug of a step: the process ends."""
        self.failure = self.failure or bug
        self._failed.set()

    failure: BaseException | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop`, then ends what is in hand within a bound.

        Raises what ended it before. Ends the whole process where it is wedged or does not stop.
        """
        signs = {"the event loop stood still": self._beats, "in no group": self._is_member}
        watchdog = Watchdog(signs, WEDGED_S)
        beating = asyncio.create_task(self._beat())
        watchdog.start()
        try:
            await self._until(stop)
        finally:
            try:
                async with asyncio.timeout(self.membership.hand_back_s + STOP_S):
                    await self.hand_back()
                    if self._consumer is not None:
                        await self._consumer.commit()
                    await self.stop()
            except TimeoutError:
                end("Faust did not stop")
            beating.cancel()
            await asyncio.to_thread(watchdog.close)
        bug = self.failure or self.crash_reason
        if bug is not None:
            raise bug

    async def _until(self, stop: asyncio.Event) -> None:
        """Starts, and returns when it is time to end or something failed."""
        starting = asyncio.create_task(self.start())
        over = asyncio.create_task(self.wait_first(stop.wait(), self._failed.wait()))
        await asyncio.wait([starting, over], return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and starting.exception() is None:
            await over
        for task in (starting, over):
            task.cancel()
        await asyncio.wait([starting, over])
        for task in (starting, over):
            problem = None if task.cancelled() else task.exception()
            if problem is not None:
                self.fail(problem)

    # -- signs of life, looked at by another thread

    async def _beat(self) -> None:
        while True:
            self._beat_s = time.monotonic()
            await asyncio.sleep(BEAT_S)

    def _beats(self) -> bool:
        return time.monotonic() - self._beat_s < BEATS_MISSED_S

    def _is_member(self) -> bool:
        """Whether the process is in its group, or about to be, or about to end."""
        consumer = self._consumer
        return self.should_stop or (isinstance(consumer, Consumer) and consumer.is_member)

    def gauges(self) -> None:
        """Puts how far behind the group is into the metrics, by topic."""
        consumer = self._consumer
        if not isinstance(consumer, Consumer):
            return
        for name, lag in consumer.lags().items():
            topic = self._cluster.topic_of(name)
            self.metrics.put("millrace_group_lag", lag, group=self._group, topic=topic)
