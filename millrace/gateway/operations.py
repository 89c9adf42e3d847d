"""What operators see and do: the log itself, dead letters, rebuild and fsck (RPL-1, RPL-8, TRN-10).

The work behind rebuild, fsck and describe is injected; here are only its addresses.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from millrace.gateway.answers import answer
from millrace.gateway.auth import require
from millrace.gateway.bodies import NoBody, RebuildBody, read_body
from millrace.gateway.context import gateway_of, user_of
from millrace.gateway.errors import REFUSED, SENSELESS, Problem, not_found
from millrace.gateway.paging import as_cursor, cursor, limit, number, path_id
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import Event, RedriveRequested
from millrace.schemas.ids import derive
from millrace.schemas.topics import BY_NAME, REDRIVES
from millrace.sinks.tables import DEAD_LETTERS

# The one partition of DEAD_LETTERS.
BUCKET = "all"
# Letters of works: the fold gave up, and has said so on the log; only a new epoch begins anew.
WORK = "work"
RETRY_INSTEAD = (
    "A work that failed for good is not tried again by its letter: the video has failed."
    " Ask for a retry of the video instead (POST /v1/videos/{video_id}/retry)."
)
OFFSET_MAX = (1 << 53) - 1


async def read_log(request: web.Request) -> web.Response:
    """GET /v1/log/{topic}: records of one partition after an offset."""
    gateway = gateway_of(request)
    require(user_of(request), "operator")
    topic = request.match_info["topic"]
    if topic not in BY_NAME:
        raise not_found("topic")
    partition = number(request, "partition", 0, 0, gateway.settings.partitions - 1)
    after = number(request, "after", -1, -1, OFFSET_MAX)
    size = limit(request, 100, 1000)
    end = await gateway.ports.log.end(topic, partition)
    records = await gateway.ports.log.read(topic, partition, after, size)
    body = {
        "topic": topic,
        "partition": partition,
        "partitions": gateway.settings.partitions,
        "records": [record(found) for found in records],
        "after": records[-1].offset if records else passed_over(after, size, end),
        "end": end,
    }
    return answer(body)


def passed_over(after: int, size: int, end: int) -> int:
    """Where to read on after a page without a record: none of it could be read, or nothing is left.

    A page takes `size` records whether they can be read or not, so the next so many offsets hold
    nothing to show.
    """
    return max(after, min(after + size, end - 1))


def record(found: Recorded[Any]) -> dict[str, Any]:
    name, body = content(found.event)
    return {
        "offset": found.offset,
        "id": found.id,
        "atMs": found.at_ms,
        "cause": found.cause,
        "key": text(found.key),
        "event": name,
        "body": body,
    }


def content(event: Any) -> tuple[str, Any]:
    """Name and body: an event's fields, raw bytes as text, null for a compacted key's end."""
    if isinstance(event, Event):
        return event.NAME, msgspec.to_builtins(event.as_record())
    return ("tombstone", None) if event is None else ("raw", text(event))


def text(data: bytes) -> str:
    """UTF-8 where it is, else base64."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return b64encode(data).decode()


async def list_letters(request: web.Request) -> web.Response:
    """GET /v1/dead-letters."""
    gateway = gateway_of(request)
    require(user_of(request), "operator")
    size, after = limit(request, 50, 500), cursor(request, (str,))
    page = await gateway.read(
        gateway.ports.tables.page, DEAD_LETTERS, (BUCKET,), after=after, limit=size
    )
    letters = [letter(row.values) for row in page.rows]
    return answer({"items": letters, "nextCursor": as_cursor(page.after)})


async def letter_in_path(request: web.Request) -> Mapping[str, Any]:
    """The row of the letter. Raises Problem 401, 403, 404."""
    gateway = gateway_of(request)
    require(user_of(request), "operator")
    letter_id = path_id(request, "letter_id", "dead letter")
    row = await gateway.read(gateway.ports.tables.get, DEAD_LETTERS, (BUCKET,), (letter_id,))
    if row is None:
        raise not_found("dead letter")
    return row.values


async def read_letter(request: web.Request) -> web.Response:
    """GET /v1/dead-letters/{letter_id}."""
    values = await letter_in_path(request)
    payload = b64encode(values["payload"]).decode()
    return answer({**letter(values), "payloadBase64": payload})


async def redrive(request: web.Request) -> web.Response:
    """POST /v1/dead-letters/{letter_id}/redrive."""
    gateway = gateway_of(request)
    values = await letter_in_path(request)
    await read_body(request, NoBody)
    if values["kind"] == WORK:
        raise Problem(REFUSED, why=RETRY_INSTEAD, extra={"reason": "work_is_not_redriven"})
    event = RedriveRequested(
        letter_id=values["letter_id"],
        topology=values["topology"],
        step=values["step"],
        kind=values["kind"],
        topic=values["topic"],
        partition=values["place_partition"],
        offset=values["place_offset"],
        key=values["record_key"],
    )
    event_id = derive("redrive", values["letter_id"], str(gateway.ports.now_ms()))
    appended = await gateway.append(REDRIVES, event, event_id=event_id)
    return answer({"letterId": values["letter_id"]}, 202, position=appended)


def letter(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "letterId": values["letter_id"],
        "kind": values["kind"],
        "topology": values["topology"],
        "step": values["step"],
        "topic": values["topic"],
        "partition": values["place_partition"],
        "offset": values["place_offset"],
        "key": text(values["record_key"]),
        "reason": values["reason"],
        "atMs": values["at_ms"],
    }


async def rebuild(request: web.Request) -> web.Response:
    """POST /v1/operations/rebuild {projection, then}: into a fresh space, compared row for row."""
    require(user_of(request), "operator")
    body = await read_body(request, RebuildBody)
    try:
        report = await gateway_of(request).ports.operations.rebuild(body.projection, body.then)
    except KeyError as problem:
        why = f"there is no projection {body.projection}"
        raise Problem(SENSELESS, why=why) from problem
    except ValueError as problem:
        raise Problem(SENSELESS, why=str(problem)) from problem
    return answer(report)


async def fsck(request: web.Request) -> web.Response:
    """POST /v1/operations/fsck: objects against the log."""
    require(user_of(request), "operator")
    await read_body(request, NoBody)
    return answer(await gateway_of(request).ports.operations.fsck())


async def describe(request: web.Request) -> web.Response:
    """GET /v1/describe: the topologies as declared."""
    return answer(gateway_of(request).ports.operations.describe())
