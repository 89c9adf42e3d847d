"""One attempt at a request, step by step, wherever it runs: in a worker process or in a test.

It turns what a work raises into the failure that the fold hears about, and must never decide about
another attempt: that is the fold's. StoreBusy goes through, because a busy dependency is no failure
of the work.
"""

import errno
from collections.abc import Iterator
from typing import Any, NamedTuple

from millrace.processors.emit import Emit
from millrace.processors.media.failures import MediaFailed, Refused
from millrace.schemas import codec
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event
from millrace.sinks.ports import StoreBusy, StoreFull
from millrace.streams.declarations import Failure, Work, WorkPorts
from millrace.streams.folding.keyed import reason_of

FULL = (errno.ENOSPC, errno.EDQUOT)


class Made(NamedTuple):
    """A result, checked against the declaration and encoded."""

    topic: str
    event: Event
    value: bytes


def attempt(work: Work, recorded: Recorded[Event], ports: WorkPorts) -> Iterator[Made | Failure]:
    """The results in order, and a Failure last where it failed. Raises StoreBusy.

    Nothing at all where the request is no longer wanted. Who iterates makes a result durable before
    he asks for the next.
    """
    try:
        if work.still_wanted is not None and not work.still_wanted(recorded, ports):
            return
        for emit in work.do(recorded, ports):
            topic, event, value = checked(work, emit)
            yield Made(topic.name, event, value)
    except StoreBusy:
        raise
    except Refused as refused:
        yield Failure(refused.code, refused.text, permanent=True)
    except MediaFailed as failed:
        refuse_full(failed)
        yield Failure(failed.code, failed.text, permanent=False)
    except MemoryError:
        text = f"needed more than {work.memory_bytes_max >> 20} MiB of memory"
        yield Failure("out_of_memory", text, permanent=False)
    except Exception as bug:  # noqa: BLE001 - a bug of the work, told by its failure event
        refuse_full(bug)
        yield Failure("bug", reason_of(bug), permanent=False)


def checked(work: Work, emit: Emit) -> tuple[Any, Event, bytes]:
    """The output, encoded. Raises UndeclaredEmit where the work did not declare it."""
    if emit.topic.name not in {topic.name for topic in work.writes}:
        raise UndeclaredEmit(f"{work.name} does not declare that it writes {emit.topic.name}")
    if type(emit.event) not in emit.topic.events:
        raise UndeclaredEmit(f"{emit.topic.name} does not carry {type(emit.event).__name__}")
    return emit.topic, emit.event, codec.encode(emit.event)


class UndeclaredEmit(AssertionError):
    """A work emitted what its declaration does not say: a bug of the work."""


def refuse_full(problem: BaseException) -> None:
    """Raises StoreFull where a full disk is behind the problem: scratch files need space too."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL:
            raise StoreFull("the disk of the scratch files is full") from problem
        cause = cause.__cause__ or cause.__context__
