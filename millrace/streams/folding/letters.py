"""Dead letters of the engine: records that nobody can read, and keys whose fold raised (TRN-10).

A letter says the place and carries the payload; it must never be the only thing that knows of a
parked key: the queue is in the state.
"""

from millrace.schemas import codec, ids
from millrace.schemas.envelope import Envelope
from millrace.schemas.events import DeadLettered
from millrace.schemas.topics import DEAD_LETTERS
from millrace.streams.folding.records import Record
from millrace.streams.folding.transaction import FoldTransaction


def append_letter(
    tx: FoldTransaction,
    kind: str,
    topology: str,
    step: str,
    record: Record,
    reason: str,
    key: bytes | None = None,
) -> None:
    """Appends the fact. The id follows from the place: a repeat is the same letter."""
    partition = record.partition
    name, index = partition.topic.name, partition.index
    where = (name, str(index), str(record.offset))
    key = record.key if key is None else key
    letter = DeadLettered(
        letter_id=ids.derive("dead-letter", kind, topology, step, key.hex(), *where),
        kind=kind,
        topology=topology,
        step=step,
        topic=name,
        partition=index,
        offset=record.offset,
        key=key,
        reason=reason,
        payload=record.value,
    )
    at_ms = tx.now_ms if record.at_ms is None else record.at_ms
    tx.put(
        tx.partition_for(DEAD_LETTERS.name, key),
        key,
        codec.encode(letter),
        letter,
        Envelope(letter.letter_id, at_ms, cause=record.id or ""),
    )
