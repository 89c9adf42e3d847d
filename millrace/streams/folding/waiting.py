"""Keeps the compacted topic `waiting` true: what each key of each fold waits for (OPS-3).

It must never let a state wait without a deadline, and never leave a word behind for a key that
waits no more.
"""

from typing import Any

from millrace.processors.emit import Deadline, Waiting
from millrace.schemas import codec, ids
from millrace.schemas.envelope import Envelope
from millrace.schemas.events import StepWaiting
from millrace.schemas.topics import WAITING
from millrace.streams.folding.transaction import Cause, FoldTransaction

# What is said of a key, None where it waits for nothing.
Said = tuple[Waiting, Deadline | None] | None


class EndlessWait(AssertionError):
    """A state waits and has no deadline: a bug of the fold at the transition that made it."""


def said(waiting: Waiting | None, deadline: Deadline | None) -> Said:
    """Raises EndlessWait."""
    if waiting is None:
        return None
    if deadline is None:
        raise EndlessWait(f"waits for {waiting.waits_for!r} without a deadline")
    return waiting, deadline


def say(
    tx: FoldTransaction, topology: str, step: str, key: bytes, now_said: Said, cause: Cause
) -> None:
    """Appends what the key waits for, or the tombstone that ends it."""
    event: Any = None
    if now_said is not None:
        waiting, deadline = now_said
        event = StepWaiting(
            topology=topology,
            step=step,
            key=key,
            video_id=waiting.video_id,
            waits_for=waiting.waits_for,
            since_ms=waiting.since_ms,
            holder=waiting.holder,
            next=waiting.next,
            deadline_name=deadline.name if deadline else "",
            deadline_at_ms=deadline.at_ms if deadline else 0,
        )
    recorded, _ = cause
    id_ = ids.derive("waiting", topology, step, key.hex(), recorded.id)
    row_key = f"{topology}/{step}/".encode() + key
    tx.put(
        tx.partition_for(WAITING.name, row_key),
        row_key,
        codec.encode(event) if event else b"",
        event,
        Envelope(id_, recorded.at_ms, cause=recorded.id),
    )
