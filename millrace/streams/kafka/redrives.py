"""Redrives of what a task's folds could not fold: parked keys, and records that were unreadable.

A request lies in the partition of the record that it names, so one task reads it. What queued
behind a key is fetched before it is folded, in order; what cannot be redriven is a dead letter,
and never stops the task.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import cast

from millrace.schemas.codec import BadRecord, UnknownFingerprint
from millrace.schemas.events import RedriveRequested
from millrace.schemas.topics import REDRIVES
from millrace.streams.folding.letters import append_letter
from millrace.streams.folding.records import Record
from millrace.streams.folding.task import FoldTask
from millrace.streams.kafka.logged_fold import LoggedFold
from millrace.streams.kafka.records import Partition
from millrace.streams.kafka.transaction import KafkaTransaction

RecordAt = Callable[[Partition, int], Awaitable[Record | None]]


class Redrives:
    """Takes the requests of a task's partition."""

    def __init__(
        self,
        task: FoldTask,
        folds: Mapping[str, LoggedFold],
        partition: Callable[[str, int], Partition],
        record_at: RecordAt,
    ) -> None:
        self._task = task
        self._folds = folds
        self._partition = partition
        self._record_at = record_at

    async def take(self, tx: KafkaTransaction, record: Record) -> bool:
        """Whether the task folded anything for it."""
        topology = self._task.topology.name
        try:
            wanted = record.recorded.event
        except (BadRecord, UnknownFingerprint) as bad:
            # Every topology says so; it is one letter, by its id.
            append_letter(tx, "record", "", REDRIVES.name, record, str(bad))
            return False
        if not isinstance(wanted, RedriveRequested) or wanted.topology != topology:
            return False
        fold = self._folds.get(wanted.step)
        if fold is None:
            return False
        if wanted.kind == "parked":
            await self._fetch(tx, [place for place, _ in fold.parking.queues.get(wanted.key, ())])
            fold.redrive(tx, wanted.key, record)
            return True
        reason = await self._late(tx, wanted)
        if reason:
            append_letter(tx, "record", topology, wanted.step, record, reason, wanted.key)
        return True

    async def _fetch(self, tx: KafkaTransaction, places: Sequence[Hashable]) -> None:
        """Puts the records where the transaction finds them."""
        for place in places:
            topic, index, offset = cast("tuple[str, int, int]", place)
            found = await self._record_at(self._partition(topic, index), offset)
            if found is not None:
                tx.found[place] = found

    async def _late(self, tx: KafkaTransaction, wanted: RedriveRequested) -> str:
        """Folds a record that was passed over as a dead letter; why it cannot, empty if it did."""
        try:
            partition = self._partition(wanted.topic, wanted.partition)
        except KeyError:
            return "there is no such place on the log"
        letter = await self._record_at(partition, wanted.offset)
        if letter is None:
            return "there is no such record: it was compacted away, or never was"
        if not letter.is_readable:
            return "this build cannot read the record either"
        readers = self._task.readers_of(partition.topic)
        if not readers:
            return "no fold reads that topic"
        self._task.hand_out(tx, letter, readers)
        return ""
