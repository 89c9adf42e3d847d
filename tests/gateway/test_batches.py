"""Client events gathered into appends: few when the log is busy, none left behind at the end."""

import asyncio
from collections.abc import Sequence

from millrace.gateway.batches import Batches
from millrace.schemas.events import ClientEvent
from millrace.sinks.ports import Append, Appended
from millrace.sinks.sqlite_tables import SqliteTables
from tests.gateway.memory_log import PARTITIONS, MemoryLog
from tests.gateway.world import Clock

LINGER_S = 0.001


class SlowLog(MemoryLog):
    """A log that takes an append when it is let go."""

    def __init__(self) -> None:
        clock = Clock()
        super().__init__(SqliteTables(None, clock), clock)
        self.held = True
        self.begun: list[int] = []
        self.go = asyncio.Event()

    async def append_many(self, appends: Sequence[Append]) -> tuple[Appended, ...]:
        events = [append.event for append in appends]
        self.begun.append(sum(len(getattr(event, "events", ())) for event in events))
        await self.go.wait()
        return await super().append_many(appends)


def uncounted(_topic: str, _events: int) -> None:
    """Nobody looks at the figures here."""


def event(number: int) -> ClientEvent:
    return ClientEvent(
        event_id=f"e{number}",
        video_id="v",
        viewer_id="w",
        session_id="s",
        kind="progress",
        position_ms=0,
        watched_ms=0,
        client_at_ms=0,
        duration_ms=0,
    )


async def test_what_comes_while_an_append_is_under_way_is_one_append_more() -> None:
    log = SlowLog()
    batches = Batches(log, PARTITIONS, LINGER_S, uncounted)
    sent = []
    for number in range(6):
        sent.append(asyncio.create_task(batches.add([event(number)])))
        # Longer than a batch is gathered when nothing is under way.
        await asyncio.sleep(5 * LINGER_S)
    assert log.begun == [1]
    assert not any(task.done() for task in sent)
    log.go.set()
    await asyncio.gather(*sent)
    assert log.begun == [1, 5]
    assert batches.count == 0


async def test_closing_waits_for_the_batch_behind_the_one_under_way() -> None:
    log = SlowLog()
    batches = Batches(log, PARTITIONS, LINGER_S, uncounted)
    first = asyncio.create_task(batches.add([event(1)]))
    while not log.begun:
        await asyncio.sleep(0)
    second = asyncio.create_task(batches.add([event(2)]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(batches.close())
    for _ in range(10):
        await asyncio.sleep(LINGER_S)
    assert not closing.done()
    log.go.set()
    await closing
    assert first.done()
    assert len(log.events("playback-events")) == 2
    await second


async def test_closing_waits_for_a_batch_that_is_still_gathered() -> None:
    log = SlowLog()
    log.go.set()
    batches = Batches(log, PARTITIONS, 0.05, uncounted)
    sent = asyncio.create_task(batches.add([event(1)]))
    await asyncio.sleep(0)
    await batches.close()
    assert len(log.events("playback-events")) == 1
    await sent
