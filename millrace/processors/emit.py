"""What a decision gives back: outputs, what it waits for, and until when."""

from dataclasses import dataclass

from millrace.schemas.events import Event
from millrace.schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class Emit:
    """One output. A topic that the step did not declare in `writes` makes the engine raise."""

    topic: Topic
    event: Event


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a state waits for, in words that a creator understands (OPS-3).

    since_ms is logical time, in milliseconds of the epoch; holder is empty where nobody holds it.
    """

    video_id: str
    waits_for: str
    since_ms: int
    holder: str
    next: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a state stops waiting: the name of the deadline and its time, in logical ms."""

    name: str
    at_ms: int
