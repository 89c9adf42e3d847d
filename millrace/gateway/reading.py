"""The read models as the handlers see them: every table read of the gateway is written here.

A row is what a projection made of the log; nothing is decided here, and nothing is written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from millrace.gateway.auth import User
from millrace.gateway.context import Gateway
from millrace.gateway.errors import FORBIDDEN, Problem, not_found
from millrace.schemas.events import UploadStarted, VideoDocument
from millrace.sinks.ports import StoreBusy
from millrace.sinks.tables import PROFILES, UPLOAD_ENDS, UPLOADS, VIDEOS, offset_of_first

# Documents are kept so long, for reading while the tables are away (OPS-7).
STALE_TTL_S = 3600.0


@dataclass(frozen=True, slots=True)
class End:
    """How a session ended; code and text where it was refused."""

    state: Literal["stored", "expired", "refused"]
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Session:
    """An upload session as it was announced, and the end it came to; None while it is open.

    offset is that of the last record on `uploads` which this reflects.
    """

    started: UploadStarted
    end: End | None = None
    offset: int = -1

    def part_bytes(self, number: int) -> int:
        """Size that a part has to have, in bytes; the last one holds what is left."""
        started = self.started
        if number < started.parts:
            return started.part_size_bytes
        return started.size_bytes - (started.parts - 1) * started.part_size_bytes


async def video(gateway: Gateway, video_id: str) -> VideoDocument | None:
    """What the video is, None where it is not known (yet)."""
    row = await gateway.read(gateway.ports.tables.get, VIDEOS, (video_id,))
    return None if row is None else VideoDocument.from_record(row.values["document"])


async def known_video(gateway: Gateway, video_id: str) -> VideoDocument:
    """Raises Problem 404."""
    document = await video(gateway, video_id)
    if document is None:
        raise not_found("video")
    return document


async def video_even_stale(gateway: Gateway, video_id: str) -> VideoDocument:
    """For playback: while the tables are away, what was last read here. Raises Problem 404."""
    key = f"video:{video_id}"
    try:
        document = await known_video(gateway, video_id)
    except StoreBusy:
        kept = await gateway.ports.cache.get(key)
        if kept is None:
            raise
        return VideoDocument.from_record(json.loads(kept))
    body = json.dumps(document.as_record()).encode()
    await gateway.ports.cache.set(key, body, STALE_TTL_S)
    return document


async def session(gateway: Gateway, upload_id: str) -> Session | None:
    tables = gateway.ports.tables
    row = await gateway.read(tables.get, UPLOADS, (upload_id,))
    if row is None:
        return None
    started = UploadStarted.from_record(row.values["started"])
    ended = await gateway.read(tables.get, UPLOAD_ENDS, (upload_id,))
    if ended is not None:
        values = ended.values
        end = End(values["state"], values["code"] or "", values["text"] or "")
        return Session(started, end, ended.version.offset)
    end_of_video = end_by_video(await video(gateway, started.video_id))
    return Session(started, end_of_video, offset_of_first(row.version))


def end_by_video(document: VideoDocument | None) -> End | None:
    """A session whose video was cancelled or deleted is over, though no upload event says so."""
    if document is None or document.state not in {"FAILED", "DELETED"}:
        return None
    code = document.error_code or "deleted"
    return End("refused", code, document.error_text or "The video was deleted.")


async def profile(gateway: Gateway, user_id: str) -> tuple[Mapping[str, Any], int] | None:
    """Name and avatar_url, and the offset on `profiles` that they reflect."""
    row = await gateway.read(gateway.ports.tables.get, PROFILES, (user_id,))
    return None if row is None else (row.values, row.version.offset)


def owns(user: User | None, document: VideoDocument) -> bool:
    return user is not None and user.user_id == document.creator_id


def sees_all(user: User | None, document: VideoDocument) -> bool:
    """Owner and staff see everything of a video."""
    return owns(user, document) or (user is not None and user.staff)


def check_visible(user: User | None, document: VideoDocument) -> None:
    """A private video is not even said to exist (API-7). Raises Problem 404."""
    if document.visibility == "private" and not sees_all(user, document):
        raise not_found("video")


def may_watch(user: User, document: VideoDocument) -> bool:
    """Whether the user is offered the video at all: it plays, and is not hidden from him."""
    hidden = document.visibility == "private" and not sees_all(user, document)
    return document.state == "READY" and not hidden


def check_owner(user: User, document: VideoDocument) -> None:
    """Raises Problem 404 or 403."""
    check_visible(user, document)
    if not sees_all(user, document):
        raise Problem(FORBIDDEN, why="the video is another user's")
