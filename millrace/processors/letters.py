"""Dead letters that a fold writes when a request has used up its attempts (TRN-10)."""

from typing import Any

from millrace.processors.emit import Emit
from millrace.schemas import codec
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import DeadLettered
from millrace.schemas.ids import derive
from millrace.schemas.topics import DEAD_LETTERS


def work_letter(recorded: Recorded[Any], topology: str, step: str, reason: str) -> Emit:
    """The letter for a request whose last failure is the recorded event; that is its payload."""
    letter = DeadLettered(
        letter_id=derive("dead-letter", topology, step, recorded.id),
        kind="work",
        topology=topology,
        step=step,
        topic=recorded.topic,
        partition=recorded.partition,
        offset=recorded.offset,
        key=recorded.key,
        reason=reason,
        payload=codec.encode(recorded.event),
    )
    return Emit(DEAD_LETTERS, letter)
