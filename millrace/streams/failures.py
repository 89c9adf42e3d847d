"""What works say of an attempt that gave no result: what was asked, and why it came to nothing.

The fold that asked decides about another attempt; nothing is decided here.
"""

from dataclasses import fields
from typing import Any

from millrace.processors.emit import Emit
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.schemas.topics import Topic
from millrace.streams.declarations import Failure


def failed_attempt(
    kind: type[Event], topic: Topic, recorded: Recorded[Any], failure: Failure, **more: object
) -> list[Emit]:
    """The failure as an event of this kind: what its request names alike, and what `more` adds."""
    known = {name: getattr(failure, name) for name in ("code", "text", "permanent")} | more
    request = recorded.event
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in known:
            known[field.name] = getattr(request, field.name)
    return [Emit(topic, kind(**known))]
