"""The gateway's door to the embedded log: the port `Log` over the engine's thread.

What `append` returned from survives kill -9 and loss of power. Nothing here may touch SQLite's
writer: appends are submitted, and reads have a connection of their own.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from weakref import WeakSet

from millrace.schemas import codec
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.schemas.topics import Topic
from millrace.sinks.ports import Append, Appended, StoreBusy
from millrace.streams.embedded.partitions import Partition, StoredRecord
from millrace.streams.embedded.store import Connection
from millrace.streams.embedded.submissions import Appending, Outside, Submission
from millrace.streams.embedded.transaction import PartitionedLog
from millrace.streams.folding.records import readable

# Records that a follower may be behind before it is ended.
FOLLOWER_RECORDS_MAX = 10_000

Answer = tuple[Appended, ...] | BaseException


class Mailbox:
    """Calls from the engine's thread into an event loop: one wake-up a burst, not one a call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()

    def put(self, call: Callable[[], None]) -> None:
        """Any thread. A loop that is closed hears nothing more."""
        with self._lock:
            self._calls.append(call)
            asleep = len(self._calls) == 1
        if asleep:
            self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def _drain(self) -> None:
        while self._calls:
            try:
                # Left in place until it is done: whoever adds behind it need not wake the loop.
                self._calls[0]()
            except BaseException:
                # The loop's handler has it; those behind it have a turn of their own.
                self._wake()
                raise
            finally:
                with self._lock:
                    self._calls.popleft()


class Follower:
    """Committed records of some topics, in order; ended with StoreBusy when it is too slow."""

    def __init__(self, topics: Collection[str], mailbox: Mailbox) -> None:
        self.topics = frozenset(topics)
        self.mailbox = mailbox
        self._records: deque[Recorded[Any]] = deque()
        self._arrived = asyncio.Event()
        self._slow = False

    def feed(self, records: list[Recorded[Any]]) -> None:
        """Calls are of the event loop."""
        self._slow = self._slow or len(self._records) + len(records) > FOLLOWER_RECORDS_MAX
        if not self._slow:
            self._records += records
        self._arrived.set()

    def __aiter__(self) -> "Follower":
        return self

    async def __anext__(self) -> Recorded[Any]:
        while not self._records:
            if self._slow:
                raise StoreBusy("this follower was too slow; read on from its last position")
            self._arrived.clear()
            await self._arrived.wait()
        return self._records.popleft()


class EmbeddedLog:
    """Implements `millrace.sinks.ports.Log`. Calls are of one event loop."""

    def __init__(
        self,
        log: PartitionedLog,
        topics: Mapping[str, Topic],
        reader: Connection,
        submit: Callable[[Submission], None],
    ) -> None:
        self._log = log
        self._topics = topics
        self._reader = reader
        self._reading = threading.Lock()
        self._submit = submit
        self._mailboxes: dict[asyncio.AbstractEventLoop, Mailbox] = {}
        self._followers: WeakSet[Follower] = WeakSet()
        # Followers come from the event loop and are fed by the engine's thread.
        self._following = threading.Lock()

    async def append(
        self,
        topic: str,
        event: Event,
        *,
        cause: str | None = None,
        at_ms: int | None = None,
        event_id: str | None = None,
    ) -> Appended:
        appended = await self.append_many([Append(topic, event, cause, at_ms, event_id)])
        return appended[0]

    async def append_many(self, appends: Sequence[Append]) -> tuple[Appended, ...]:
        return await self._append([self._encoded(append) for append in appends])

    async def append_bytes(self, topic: str, key: bytes, value: bytes) -> Appended:
        """Appends a record of a topic that is not ours: the store's notifications."""
        outside = Outside(self._topics[topic], key, value, None, "", None, None)
        return (await self._append([outside]))[0]

    async def _append(self, facts: Sequence[Outside]) -> tuple[Appended, ...]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Appended, ...]] = loop.create_future()
        mailbox = self._mailbox(loop)

        def answer(result: Answer) -> None:
            mailbox.put(lambda: tell(future, result))

        self._submit(Appending(facts, answer))
        return await future

    def _encoded(self, append: Append) -> Outside:
        topic = self._topics[append.topic]
        if type(append.event) not in topic.events:
            raise TypeError(f"{topic.name} does not carry {type(append.event).__name__}")
        return Outside(
            topic,
            topic.key(append.event),
            codec.encode(append.event),
            append.event,
            append.cause or "",
            append.at_ms,
            append.event_id,
        )

    def _mailbox(self, loop: asyncio.AbstractEventLoop) -> Mailbox:
        mailbox = self._mailboxes.get(loop)
        if mailbox is None:
            mailbox = self._mailboxes[loop] = Mailbox(loop)
        return mailbox

    async def follow(self, topics: Collection[str]) -> Follower:
        unknown = set(topics) - set(self._topics)
        if unknown:
            raise KeyError(", ".join(sorted(unknown)))
        follower = Follower(topics, self._mailbox(asyncio.get_running_loop()))
        with self._following:
            self._followers.add(follower)
        return follower

    def committed(self, records: Sequence[StoredRecord]) -> None:
        """Feeds the followers; the engine's thread calls it after each commit."""
        with self._following:
            followers = list(self._followers)
        for follower in followers:
            wanted = [r for r in records if r.partition.topic.name in follower.topics]
            found = readable(wanted)
            if found:
                follower.mailbox.put(lambda f=follower, r=found: f.feed(r))  # type: ignore[misc]

    async def read(
        self, topic: str, partition: int, after_offset: int, limit: int
    ) -> tuple[Recorded[Event], ...]:
        if not 0 <= partition < len(self._log.partitions[topic]):
            return ()
        where = self._log.partitions[topic][partition]
        if after_offset + 1 >= where.tail[0]:
            return self._page(where, after_offset, limit)
        return await asyncio.to_thread(self._read_stored, where, after_offset, limit)

    def _read_stored(
        self, where: Partition, after_offset: int, limit: int
    ) -> tuple[Recorded[Event], ...]:
        with self._reading:
            return self._page(where, after_offset, limit)

    def _page(self, where: Partition, after_offset: int, limit: int) -> tuple[Recorded[Event], ...]:
        """The next page with something in it that can be read; empty at the end alone."""
        found: list[Recorded[Event]] = []
        while not found:
            records = where.read(self._reader, after_offset + 1, where.committed, limit)
            if not records:
                break
            found = readable(records)
            after_offset = records[-1].offset
        return tuple(found)

    async def end(self, topic: str, partition: int) -> int:
        there = self._log.partitions[topic]
        return there[partition].committed if 0 <= partition < len(there) else 0

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has here. KeyError as for append."""
        return len(self._log.partitions[topic])


def tell(future: asyncio.Future[tuple[Appended, ...]], result: Answer) -> None:
    """A caller that was cancelled meanwhile hears nothing."""
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
