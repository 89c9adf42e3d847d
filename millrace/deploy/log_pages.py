"""Reads a topic's partition from the log to its end, page by page, for whoever reads all of it.

A page may come back empty before the end, where nobody can read what it holds: the end is asked
for, never guessed from a page.
"""

from collections.abc import AsyncIterator

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.sinks.ports import Log

PAGE = 1_000


async def pages(
    log: Log, topic: str, partition: int, after: int = -1
) -> AsyncIterator[tuple[Recorded[Event], ...]]:
    """Records with offsets above `after`, up to the end as it is at the call. Raises StoreBusy."""
    end = await log.end(topic, partition)
    while after + 1 < end:
        records = await log.read(topic, partition, after, PAGE)
        if records:
            yield records
        # A page takes so many records whether they can be read or not.
        after = records[-1].offset if records else after + PAGE
