"""Outputs of works: named by their inputs, stored, verified, and found again (TRN-11).

What a task made is noted beside its objects as the very event that says so. A repeat of the task
finds the note, verifies the objects, and says the same without making anything again. The note is
put last, so that it never promises an object that is not there. Notes go when
their video is published or deleted; those of a failed video stay for a retry.
"""

from collections.abc import Iterable
from hashlib import file_digest, md5, sha256
from pathlib import Path

from millrace.processors.media.failures import MediaFailed
from millrace.schemas import codec, prefixes
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import AudioEncoded, ChunkEncoded, Event, SegmentMade
from millrace.sinks import tables
from millrace.sinks.ports import NotFound, Objects
from millrace.streams.declarations import WorkPorts

ENDED = ("FAILED", "DELETED", "EXPIRED")
Media = tuple[SegmentMade, Path]


def still_wanted(recorded: Recorded[Event], ports: WorkPorts) -> bool:
    """False for the work of a video that is complete, and where not_ended is."""
    row = ports.tables.get(tables.VIDEOS, (recorded.event.video_id,))  # type: ignore[attr-defined]
    complete = row is not None and row.values["document"]["complete"]
    return not complete and not_ended(recorded, ports)


def not_ended(recorded: Recorded[Event], ports: WorkPorts) -> bool:
    """False for the work of a video that ended, or that a retry has begun anew.

    The row may be older than the request: an end of an earlier epoch says nothing about this one.
    """
    request = recorded.event
    row = ports.tables.get(tables.VIDEOS, (request.video_id,))  # type: ignore[attr-defined]
    if row is None:
        return True
    document = row.values["document"]
    epoch: int = request.epoch  # type: ignore[attr-defined]
    if document["epoch"] != epoch:
        return bool(document["epoch"] < epoch)
    return document["state"] not in ENDED


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def put_once(objects: Objects, key: str, path: Path) -> None:
    """Stores a file, unless the same bytes stand there already."""
    stat = objects.head(key)
    if stat is None or stat.etag != md5(path.read_bytes(), usedforsecurity=False).hexdigest():
        objects.put_file(key, path)


def put_media(objects: Objects, prefix: str, init_path: Path, segments: Iterable[Media]) -> str:
    """Stores a rendition's segments; the SHA-256 of its init segment.

    Raises MediaFailed where another init segment stands there: joined with it nothing would play.
    """
    init = init_path.read_bytes()
    key = f"{prefix}/init.mp4"
    try:
        if objects.read(key) != init:
            raise MediaFailed("init_differs", f"another init segment stands at {key}")
    except NotFound:
        objects.put_file(key, init_path)
    for segment, path in segments:
        put_once(objects, f"{prefix}/{segment.number}.m4s", path)
    return sha256(init).hexdigest()


def prefix_of(video_id: str, name: str, recipe: str) -> str:
    return f"{prefixes.of_video(video_id)}{name}/{recipe}"


def note_key(video_id: str, name: str, recipe: str, part: str) -> str:
    return f"{prefixes.of_notes(video_id)}{name}/{recipe}/{part}"


def note(objects: Objects, key: str, event: Event) -> None:
    """Says beside the objects what was made."""
    objects.put_bytes(key, codec.encode(event), content_type="application/octet-stream")


def noted(objects: Objects, key: str) -> ChunkEncoded | AudioEncoded | None:
    """What an earlier attempt made, if every object of it still stands there whole."""
    try:
        event = codec.decode(objects.read(key))
    except (NotFound, codec.BadRecord, codec.UnknownFingerprint):
        return None
    assert isinstance(event, ChunkEncoded | AudioEncoded)
    name = event.rung if isinstance(event, ChunkEncoded) else event.rendition
    prefix = prefix_of(event.video_id, name, event.recipe)
    if objects.head(f"{prefix}/init.mp4") is None:
        return None
    for segment in event.segments:
        stat = objects.head(f"{prefix}/{segment.number}.m4s")
        if stat is None or stat.size_bytes != segment.size_bytes:
            return None
    return event
