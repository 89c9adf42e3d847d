"""POST /v1/uploads/{id}/complete (ING-3): parts and sizes are verified, then it is on the log.

A repeat is the same answer. Whether the session was still open the fold says, not the gateway: its
time may have run out while the parts were joined. The store's own word about completing is never
believed: what HEAD says afterwards is compared with what was announced.
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
from millrace.gateway.positions import until, wait_for_video
from millrace.gateway.reading import Session, session
from millrace.gateway.uploads import owned_session, right_size
from millrace.schemas.events import Position, UploadFinished, UploadStarted
from millrace.schemas.ids import derive
from millrace.schemas.topics import UPLOADS
from millrace.sinks.ports import InvalidPart, NoSuchUpload, ObjectStat, Part, StoreBusy

NAMED_MAX = 1000


async def complete(request: web.Request) -> web.Response:
    gateway = gateway_of(request)
    _, found = await owned_session(request)
    body = await read_body(request, CompleteBody)
    started = found.started
    if found.end is not None:
        return ended(found, None)
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
    return await answered(gateway, started, appended.partition)


async def answered(gateway: Gateway, started: UploadStarted, partition: int) -> web.Response:
    """What became of the session, as its fold said; PENDING where that is to come.

    Raises Problem 409, 410.
    """

    async def look() -> Session | None:
        found = await session(gateway, started.upload_id)
        return found if found is not None and found.end is not None else None

    try:
        found = await until(look, gateway.settings.answer_wait_s)
    except StoreBusy:
        found = None
    if found is None:
        return accepted(started, "PENDING", None)
    position = Position(UPLOADS.name, partition, found.offset)
    response = ended(found, position)
    await wait_for_video(gateway, started.video_id, position)
    return response


def ended(found: Session, position: Position | None) -> web.Response:
    """A repeat of a call that did its work is the same answer. Raises Problem 409, 410."""
    assert found.end is not None, "an open session has not ended"
    if found.end.state == "expired":
        raise Problem(UPLOAD_EXPIRED)
    if found.end.state == "refused":
        raise Problem(UPLOAD_CLOSED, why=found.end.text)
    return accepted(found.started, "PROCESSING", position)


def accepted(started: UploadStarted, state: str, position: Position | None) -> web.Response:
    body = {
        "videoId": started.video_id,
        "uploadSessionId": started.upload_id,
        "state": state,
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
