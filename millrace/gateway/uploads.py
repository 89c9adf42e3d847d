"""Upload sessions (ING-1, ING-2): announced, read, resumed, given up. Media bytes never come here.

The announcement is on the log before the client hears of it. Ids follow from the user and the
Idempotency-Key where one is given, so that two gateways make one video of a repeated request; the
session's id follows from the body too, so that another body under the same key is seen.
"""

import secrets
from re import compile as pattern
from typing import Any

import msgspec
from aiohttp import web

from millrace.gateway.answers import answer, iso
from millrace.gateway.auth import STAFF, User, require
from millrace.gateway.bodies import UploadBody, read_body
from millrace.gateway.commands import ask, pending
from millrace.gateway.context import Gateway, gateway_of, user_of
from millrace.gateway.errors import (
    BAD_PARAMETER,
    FILE_TOO_LARGE,
    FORBIDDEN,
    KEY_REUSED,
    UPLOAD_CLOSED,
    Problem,
    not_found,
)
from millrace.gateway.paging import number, path_id
from millrace.gateway.positions import asked, subject, until, wait_for_video
from millrace.gateway.reading import Session, session, video
from millrace.gateway.settings import MIB, PARTS_MAX
from millrace.schemas.events import CancelRequested, Position, UploadStarted
from millrace.schemas.ids import derive
from millrace.schemas.topics import PUBLICATIONS, UPLOADS
from millrace.sinks.ports import Appended, NoSuchUpload, Part, StoreBusy

IDEMPOTENCY_HEADER = "Idempotency-Key"
GIVEN = "key:"
KEY = pattern(r"[\x21-\x7e]{1,255}")


async def create(request: web.Request) -> web.Response:
    """POST /v1/uploads."""
    gateway = gateway_of(request)
    user = require(user_of(request), "creator", "operator", "service")
    key = idempotency_key(request)
    body = await read_body(request, UploadBody)
    size_max = gateway.settings.upload_size_bytes_max
    if body.size_bytes > size_max:
        raise Problem(FILE_TOO_LARGE, limit=size_max, extra={"sizeBytesMax": size_max})
    video_id = derive("video", user.user_id, key)
    upload_id = derive("upload", video_id, msgspec.json.encode(body).decode())
    found = await repeated(gateway, video_id, upload_id) if key.startswith(GIVEN) else None
    position = None
    if found is None:
        found, position = await announce(gateway, user, body, video_id, upload_id)
    urls, next_part = part_urls(gateway, found.started, range(1, found.started.parts + 1))
    return answer(
        {**described(found.started), "state": "open", "partUrls": urls, "nextPart": next_part},
        201,
        position=position,
        headers={"Location": f"/v1/uploads/{upload_id}"},
    )


def idempotency_key(request: web.Request) -> str:
    """The client's, or one that never comes again. Raises Problem 400."""
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is None:
        return secrets.token_hex(16)
    if not KEY.fullmatch(key):
        why = "it is 1 to 255 visible ASCII characters"
        raise Problem(BAD_PARAMETER, name=IDEMPOTENCY_HEADER, why=why)
    # A prefix keeps a client's key apart from those made here.
    return GIVEN + key


async def repeated(gateway: Gateway, video_id: str, upload_id: str) -> Session | None:
    """The session that this key made before. Raises Problem KEY_REUSED."""
    document = await video(gateway, video_id)
    if document is None:
        return None
    if document.upload_id != upload_id:
        raise Problem(KEY_REUSED)
    return await session(gateway, upload_id)


async def announce(
    gateway: Gateway, user: User, body: UploadBody, video_id: str, upload_id: str
) -> tuple[Session, Appended]:
    """Begins the multipart upload and says so on the log.

    Two gateways may do this for one key at once: the first announcement wins, and the other's
    multipart upload is given back. Raises Problem KEY_REUSED.
    """
    objects = gateway.ports.objects
    object_key = f"originals/{video_id}/{upload_id}"
    part_size_bytes = part_size(body.size_bytes, gateway.settings.part_size_bytes)
    multipart_id = await gateway.store(objects.start, object_key, body.content_type or None)
    started = UploadStarted(
        video_id=video_id,
        upload_id=upload_id,
        creator_id=user.user_id,
        title=body.title,
        description=body.description,
        tags=tuple(body.tags),
        visibility=body.visibility,
        content_type=body.content_type,
        size_bytes=body.size_bytes,
        sha256=body.sha256,
        priority=body.priority,
        passthrough=body.passthrough,
        file_name=body.file_name,
        object_key=object_key,
        multipart_id=multipart_id,
        part_size_bytes=part_size_bytes,
        parts=max(1, -(-body.size_bytes // part_size_bytes)),
        expires_at_ms=gateway.ports.now_ms() + gateway.settings.upload_expires_ms,
    )
    appended = await gateway.append(UPLOADS, started, event_id=derive("upload-started", video_id))
    found = await kept(gateway, appended, upload_id)
    if found is None or found.started.multipart_id != multipart_id:
        await gateway.store(objects.abort, object_key, multipart_id)
    if found is None:
        raise Problem(KEY_REUSED)
    return found, appended._replace(offset=found.offset)


async def kept(gateway: Gateway, appended: Appended, upload_id: str) -> Session | None:
    """The session whose announcement counts; None where it is one of another body."""
    first = await announced(gateway, appended)
    if first.upload_id != upload_id:
        return None
    try:
        found = await until(
            lambda: repeated(gateway, first.video_id, upload_id), gateway.settings.projection_wait_s
        )
    except StoreBusy:
        # Tables that are away lose nothing: the session is on the log (OPS-7).
        found = None
    except Problem:
        return None
    return found or Session(first, offset=appended.offset)


async def announced(gateway: Gateway, appended: Appended) -> UploadStarted:
    """The announcement that stands on the log: ours, or the one that came before it."""
    topic, partition, offset, _ = appended
    (recorded,) = await gateway.ports.log.read(topic, partition, offset - 1, 1)
    started = recorded.event
    assert isinstance(started, UploadStarted), f"{topic} {partition} {offset}"
    return started


def part_size(size_bytes: int, default_bytes: int) -> int:
    """The default, or as many whole MiB as keep the parts within PARTS_MAX (ING-11)."""
    needed = -(-size_bytes // PARTS_MAX)
    return max(default_bytes, -(-needed // MIB) * MIB)


def described(started: UploadStarted) -> dict[str, Any]:
    return {
        "videoId": started.video_id,
        "uploadSessionId": started.upload_id,
        "sizeBytes": started.size_bytes,
        "partSizeBytes": started.part_size_bytes,
        "parts": started.parts,
        "expiresAt": iso(started.expires_at_ms),
    }


def part_urls(
    gateway: Gateway, started: UploadStarted, numbers: range | list[int]
) -> tuple[list[dict[str, Any]], int | None]:
    """URLs of the first page of these parts, and the first number that is not in it."""
    page, session = gateway.settings.part_urls_page, Session(started)
    place = started.object_key, started.multipart_id
    presign = gateway.ports.objects.presign_part
    urls = [
        {"number": n, "url": presign(*place, n, session.part_bytes(n), started.expires_at_ms)}
        for n in numbers[:page]
    ]
    return urls, numbers[page] if len(numbers) > page else None


async def owned_session(request: web.Request) -> tuple[User, Session]:
    """The session in the path, if it is the user's. Raises Problem 401, 403, 404."""
    gateway = gateway_of(request)
    user = require(user_of(request), "creator", "operator", "service")
    upload_id = path_id(request, "upload_id", "upload")
    found = await settled(gateway, upload_id, asked(request))
    if found is None:
        raise not_found("upload")
    if found.started.creator_id != user.user_id and not user.roles & STAFF:
        raise Problem(FORBIDDEN, why="the upload is another user's")
    return user, found


async def settled(gateway: Gateway, upload_id: str, position: Position | None) -> Session | None:
    """The session once it reflects the position, or as it is when the wait is over (API-6).

    Where its row is still to come, or the tables are away, it is as the record that the client
    brings the position of announced it: writes go on into the log (OPS-7).
    """
    try:
        found = await waited_for(gateway, upload_id, position)
    except StoreBusy:
        found = await announced_there(gateway, upload_id, position)
        if found is None:
            raise
        return found
    return found or await announced_there(gateway, upload_id, position)


async def announced_there(
    gateway: Gateway, upload_id: str, position: Position | None
) -> Session | None:
    if position is None or position.topic != UPLOADS.name:
        return None
    place = position.topic, position.partition, position.offset - 1
    for recorded in await gateway.ports.log.read(*place, 1):
        started = recorded.event
        if recorded.offset == position.offset and isinstance(started, UploadStarted):
            return Session(started) if started.upload_id == upload_id else None
    return None


async def waited_for(gateway: Gateway, upload_id: str, position: Position | None) -> Session | None:
    about = await subject(gateway, position)
    if about is None or position is None:
        return await session(gateway, upload_id)
    if position.topic == PUBLICATIONS.name:
        await wait_for_video(gateway, about, position)

    async def look() -> Session | None:
        found = await session(gateway, upload_id)
        if found is None or position.topic != UPLOADS.name or found.started.video_id != about:
            return found
        return found if found.offset >= position.offset else None

    found = await until(look, gateway.settings.projection_wait_s)
    return found or await session(gateway, upload_id)


async def read(request: web.Request) -> web.Response:
    """GET /v1/uploads/{upload_id}: what the store has, and URLs for what is missing (ING-2)."""
    gateway = gateway_of(request)
    _, found = await owned_session(request)
    after = number(request, "afterPart", 0, 0, 10_000)
    stored: tuple[Part, ...] = ()
    missing: list[int] = []
    if found.end is None:
        stored = await stored_parts(gateway, found.started)
        have = {part.number for part in stored if right_size(found, part)}
        missing = [n for n in range(after + 1, found.started.parts + 1) if n not in have]
    urls, next_part = part_urls(gateway, found.started, missing)
    body = {
        **described(found.started),
        "state": "open" if found.end is None else found.end.state,
        "stored": [
            {"number": part.number, "sizeBytes": part.size_bytes, "etag": part.etag}
            for part in stored
        ],
        "partUrls": urls,
        "nextPart": next_part,
        "error": refusal(found),
    }
    return answer(body)


def refusal(found: Session) -> dict[str, str] | None:
    if found.end is None or found.end.state != "refused":
        return None
    return {"code": found.end.code, "text": found.end.text}


async def stored_parts(gateway: Gateway, started: UploadStarted) -> tuple[Part, ...]:
    """None of an upload that the store has joined or thrown away meanwhile."""
    try:
        return await gateway.store(
            gateway.ports.objects.list_parts, started.object_key, started.multipart_id
        )
    except NoSuchUpload:
        return ()


def right_size(found: Session, part: Part) -> bool:
    """Whether a stored part has the size that its place demands."""
    in_place = part.number <= found.started.parts
    return in_place and part.size_bytes == found.part_bytes(part.number)


async def cancel(request: web.Request) -> web.Response:
    """DELETE /v1/uploads/{upload_id}: the video's cancellation, while its bytes still come."""
    gateway = gateway_of(request)
    user, found = await owned_session(request)
    video_id = found.started.video_id
    if found.end is not None:
        raise Problem(UPLOAD_CLOSED, why=f"it is {found.end.state} already.")
    asked_at, fact = await ask(gateway, CancelRequested(video_id, user.user_id))
    if fact is None:
        return pending(asked_at, video_id)
    return answer({"videoId": video_id, "state": "FAILED"}, 202, position=fact)
