"""POST /v1/uploads/{id}/complete (ING-3): parts and sizes are verified, then it is on the log.

A repeat is the same answer. The store's own word about completing is never believed: what HEAD says
afterwards is compared with what was announced.
"""

from typing import Any

from aiohttp import web

from millrace.gateway.answers import answer
from millrace.gateway.bodies import CompleteBody, read_body
from millrace.gateway.context import Gateway, gateway_of
from millrace.gateway.errors import (
    BUSY,
    PARTS_WRONG,
    UPLOAD_CLOSED,
    UPLOAD_EXPIRED,
    Problem,
)
from millrace.gateway.positions import wait_for_video
from millrace.gateway.reading import End, Session
from millrace.gateway.uploads import owned_session, right_size
from millrace.schemas.events import UploadFinished, UploadStarted
from millrace.schemas.ids import derive
from millrace.schemas.topics import UPLOADS
from millrace.sinks.ports import Appended, InvalidPart, NoSuchUpload, ObjectStat, Part

NAMED_MAX = 1000


async def complete(request: web.Request) -> web.Response:
    gateway = gateway_of(request)
    _, found = await owned_session(request)
    body = await read_body(request, CompleteBody)
    started = found.started
    if found.end is not None:
        return ended(started, found.end)
    if started.expires_at_ms <= gateway.ports.now_ms():
        raise Problem(UPLOAD_EXPIRED)
    etags = {part.number: part.etag.strip('"') for part in body.parts}
    stat = await joined(gateway, found, etags)
    appended = await gateway.append(
        UPLOADS,
        UploadFinished(
            video_id=started.video_id,
            upload_id=started.upload_id,
            object_key=started.object_key,
            size_bytes=stat.size_bytes,
            etag=stat.etag,
        ),
        event_id=derive("upload-finished", started.upload_id),
    )
    await wait_for_video(gateway, started.video_id, appended)
    return accepted(started, appended)


def ended(started: UploadStarted, end: End) -> web.Response:
    """A repeat of a call that did its work is the same answer. Raises Problem 409, 410."""
    if end.state == "expired":
        raise Problem(UPLOAD_EXPIRED)
    if end.state == "refused":
        raise Problem(UPLOAD_CLOSED, why=end.text)
    return accepted(started, None)


def accepted(started: UploadStarted, position: Appended | None) -> web.Response:
    body = {
        "videoId": started.video_id,
        "uploadSessionId": started.upload_id,
        "state": "PROCESSING",
    }
    location = {"Location": f"/v1/videos/{started.video_id}/status"}
    return answer(body, 202, position=position, headers=location)


async def joined(gateway: Gateway, found: Session, etags: dict[int, str]) -> ObjectStat:
    """The object of the verified parts. Raises Problem 410, 422, 503."""
    objects, started = gateway.ports.objects, found.started
    place = started.object_key, started.multipart_id
    try:
        verify(found, etags, await gateway.store(objects.list_parts, *place))
        await gateway.store(objects.complete, *place, etags)
    except NoSuchUpload:
        # Joined by an earlier call that was not answered, or aborted: HEAD tells them apart.
        pass
    except InvalidPart as problem:
        raise wrong_parts(missing=[], wrong=list(problem.numbers)) from problem
    stat = await gateway.store(objects.head, started.object_key)
    if stat is None:
        raise Problem(UPLOAD_EXPIRED)
    if stat.size_bytes != started.size_bytes:
        # Every part had its size a moment ago: the store is wrong about one of the two.
        raise Problem(BUSY)
    return stat


def verify(found: Session, etags: dict[int, str], stored: tuple[Part, ...]) -> None:
    """Raises Problem PARTS_WRONG that names what to send again."""
    there = {part.number: part for part in stored}
    wanted = range(1, found.started.parts + 1)
    missing = [n for n in wanted if n not in there or n not in etags]
    wrong = [
        n
        for n in sorted(etags)
        if n not in wanted
        or (n in there and (etags[n] != there[n].etag or not right_size(found, there[n])))
    ]
    if missing or wrong:
        raise wrong_parts(missing, wrong)


def wrong_parts(missing: list[int], wrong: list[int]) -> Problem:
    said = [
        f"{word}: {', '.join(map(str, numbers[:20]))}{' and more' if len(numbers) > 20 else ''}."
        for word, numbers in (("Missing", missing), ("Wrong size or ETag", wrong))
        if numbers
    ]
    extra: dict[str, Any] = {"missing": missing[:NAMED_MAX], "wrong": wrong[:NAMED_MAX]}
    return Problem(PARTS_WRONG, why=" ".join(said), extra=extra)
