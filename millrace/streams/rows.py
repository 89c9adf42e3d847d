"""What rows events become: pure functions, one a table; which table is said in the wiring.

A row comes from one key of one topic, so that its offset orders its versions.
"""

from typing import Any

from millrace.schemas.envelope import Recorded
from millrace.schemas.events import (
    AudioEncoded,
    ChunkEncoded,
    DeadLettered,
    LadderPlanned,
    PlaylistsWritten,
    ProfileEdited,
    RenditionCompleted,
    RenditionFailed,
    RenditionProgressed,
    SourceAbandoned,
    SourceCut,
    SourceProbed,
    SourceRefused,
    SourceStepFailed,
    SourceStored,
    SourceWorkStarted,
    StepWaiting,
    UploadExpired,
    UploadRefused,
    UploadStarted,
    VideoDocument,
    VideoHourCounted,
)
from millrace.sinks.ports import Row, Version

ENDS = {SourceStored: "stored", UploadExpired: "expired", UploadRefused: "refused"}


def row(recorded: Recorded[Any], values: dict[str, Any], deleted: bool = False) -> Row:
    """A row at the record's place; the engine adds the topic's generation."""
    return Row(values, Version(0, recorded.offset), recorded.at_ms, deleted)


def videos(recorded: Recorded[VideoDocument]) -> list[Row]:
    document = recorded.event
    values = {"video_id": document.video_id, "document": document.as_record()}
    return [row(recorded, values)]


def creator_videos(recorded: Recorded[VideoDocument]) -> list[Row]:
    """A deleted video leaves the list; its document stays in `videos`, to answer 410."""
    document = recorded.event
    values = {
        "creator_id": document.creator_id,
        "created_at_ms": document.created_at_ms,
        "video_id": document.video_id,
        "document": document.as_record(),
    }
    return [row(recorded, values, document.state == "DELETED")]


def public_videos(recorded: Recorded[VideoDocument]) -> list[Row]:
    """Every document writes its row, listed or not: compaction keeps the last document alone."""
    document = recorded.event
    values = {
        "bucket": "public",
        "created_at_ms": document.created_at_ms,
        "video_id": document.video_id,
        "document": document.as_record(),
    }
    return [row(recorded, values, not document.listed)]


def uploads(recorded: Recorded[Any]) -> list[Row]:
    event = recorded.event
    if not isinstance(event, UploadStarted):
        return []
    values = {
        "upload_id": event.upload_id,
        "video_id": event.video_id,
        "creator_id": event.creator_id,
        "started": event.as_record(),
        "expires_at_ms": event.expires_at_ms,
    }
    return [row(recorded, values)]


def upload_ends(recorded: Recorded[Any]) -> list[Row]:
    event = recorded.event
    if type(event) not in ENDS:
        return []
    values = {
        "upload_id": event.upload_id,
        "video_id": event.video_id,
        "state": ENDS[type(event)],
        "code": event.code if isinstance(event, UploadRefused) else "",
        "text": event.text if isinstance(event, UploadRefused) else "",
    }
    return [row(recorded, values)]


def progress(recorded: Recorded[Any]) -> list[Row]:
    event = recorded.event
    values: dict[str, Any]
    shape: tuple[str, int | None, int | None]
    match event:
        case RenditionProgressed(rendition=rendition):
            values = {
                "state": "encoding",
                "chunks_done": event.chunks_done,
                "chunks_total": event.chunks_total,
                "size_bytes": event.size_bytes,
            }
            shape = rendition.name, rendition.width, rendition.height
        case RenditionCompleted(summary=made):
            values = {"state": "complete", "size_bytes": made.size_bytes}
            shape = made.rung, made.width, made.height
        case RenditionFailed():
            values, shape = {"state": "failed"}, (event.rung, None, None)
        case _:
            return []
    rung, width, height = shape
    values |= {"video_id": event.video_id, "rung": rung, "epoch": event.epoch}
    return [row(recorded, values | {"width": width, "height": height})]


def step_of(event: Any) -> tuple[str, str]:
    """Step and state of an event over the whole source; empty where it is none.

    A poster's end is another topic's fact, so its row would be of two topics: the document has it.
    """
    match event:
        case SourceWorkStarted(step="poster") | SourceStepFailed(step="poster"):
            return "", ""
        case SourceWorkStarted(step=step):
            return step, "running"
        case SourceStepFailed(step=step) | SourceAbandoned(step=step):
            return step, "failed"
        case SourceProbed():
            return "probe", "done"
        case LadderPlanned():
            return "plan", "done"
        case SourceRefused():
            return "probe", "failed"
        case SourceCut():
            return "cut", "done"
        case AudioEncoded():
            return "audio", "done"
        case _:
            return "", ""


def steps(recorded: Recorded[Any]) -> list[Row]:
    event = recorded.event
    step, state = step_of(event)
    if not step:
        return []
    values = {
        "video_id": event.video_id,
        "step": step,
        "epoch": event.epoch,
        "state": state,
        "worker": getattr(event, "worker", ""),
        "attempt": getattr(event, "attempt", 0),
        "at_ms": recorded.at_ms,
        "detail": event.as_record(),
    }
    return [row(recorded, values)]


def segments(recorded: Recorded[Any]) -> list[Row]:
    """Provenance: what each stored stretch was made from, by whom and at what cost (RPL-7)."""
    event = recorded.event
    if not isinstance(event, ChunkEncoded):
        return []
    values = {
        "video_id": event.video_id,
        "rung": event.rung,
        "number": event.number,
        "epoch": event.epoch,
        "recipe": event.recipe,
        "worker": event.worker,
        "reused": event.reused,
        "cpu_seconds": event.cpu_seconds,
        "made": event.as_record(),
    }
    return [row(recorded, values)]


def history(recorded: Recorded[Any]) -> list[Row]:
    event = recorded.event
    if isinstance(event, PlaylistsWritten):
        return []
    values = {
        "video_id": event.video_id,
        "position": recorded.offset,
        "event": event.NAME,
        "at_ms": recorded.at_ms,
        "detail": event.as_record(),
    }
    return [row(recorded, values)]


def view_hours(recorded: Recorded[VideoHourCounted]) -> list[Row]:
    return [row(recorded, recorded.event.as_record())]


def waiting(recorded: Recorded[StepWaiting | None]) -> list[Row]:
    """The key is `topology/step/key`; a fold's key begins with the video. A tombstone ends it."""
    topology, step, key = recorded.key.decode().split("/", 2)
    video_id = key.partition("/")[0]
    values: dict[str, Any] = {
        "video_id": video_id,
        "topology": topology,
        "step": step,
        "state_key": key,
    }
    event = recorded.event
    if event is None:
        return [row(recorded, values, deleted=True)]
    values |= {
        "waits_for": event.waits_for,
        "since_ms": event.since_ms,
        "holder": event.holder,
        "next": event.next,
        "deadline_name": event.deadline_name,
        "deadline_at_ms": event.deadline_at_ms,
    }
    return [row(recorded, values)]


def dead_letters(recorded: Recorded[DeadLettered]) -> list[Row]:
    letter = recorded.event
    values = {
        "bucket": "all",
        "letter_id": letter.letter_id,
        "kind": letter.kind,
        "topology": letter.topology,
        "step": letter.step,
        "topic": letter.topic,
        "place_partition": letter.partition,
        "place_offset": letter.offset,
        "record_key": letter.key,
        "reason": letter.reason,
        "payload": letter.payload,
        "at_ms": recorded.at_ms,
    }
    return [row(recorded, values)]


def profiles(recorded: Recorded[ProfileEdited]) -> list[Row]:
    return [row(recorded, recorded.event.as_record())]
