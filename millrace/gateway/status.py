"""How far a video is (TRN-15): each step, each rung, and when it may be done.

Everything is read from projections; the estimate is arithmetic on them and promises nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from millrace.gateway.answers import answer, or_none
from millrace.gateway.auth import require
from millrace.gateway.context import Gateway, gateway_of, user_of
from millrace.gateway.paging import path_id
from millrace.gateway.positions import honour
from millrace.gateway.reading import check_owner, known_video
from millrace.gateway.videos import failure
from millrace.schemas.events import VideoDocument
from millrace.sinks.tables import PROGRESS, STEPS

Values = Mapping[str, Any]
# The step whose row holds the ladder; it is the rungs' own, and no work.
PLAN = "plan"
# Of a ladder or of a source's steps there are never so many.
ROWS_MAX = 100


async def document_in_path(request: web.Request) -> VideoDocument:
    """The video, if the user may look inside. Raises Problem 401, 403, 404."""
    user = require(user_of(request), "creator", "moderator", "operator", "service")
    video_id = path_id(request, "video_id", "video")
    await honour(request, video_id)
    document = await known_video(gateway_of(request), video_id)
    check_owner(user, document)
    return document


async def read(request: web.Request) -> web.Response:
    """GET /v1/videos/{video_id}/status."""
    document = await document_in_path(request)
    return answer(await status(gateway_of(request), document))


async def status(gateway: Gateway, document: VideoDocument) -> dict[str, Any]:
    """The status of the epoch that the document is in."""
    tables, key = gateway.ports.tables, (document.video_id,)
    steps = await gateway.read(tables.page, STEPS, key, limit=ROWS_MAX)
    rungs = await gateway.read(tables.page, PROGRESS, key, limit=ROWS_MAX)
    made = [row.values for row in steps.rows if row.values["epoch"] == document.epoch]
    known = {row.values["rung"]: row.values for row in rungs.rows}
    now = rungs_of(made, {n: v for n, v in known.items() if v["epoch"] == document.epoch})
    return {
        "videoId": document.video_id,
        "state": document.state,
        "complete": document.complete,
        "error": failure(document),
        "steps": [step(values) for values in made if values["step"] != PLAN],
        "rungs": now,
        "createdAtMs": document.created_at_ms,
        "storedAtMs": or_none(document.stored_at_ms),
        "playableAtMs": or_none(document.playable_at_ms),
        "publishedAtMs": or_none(document.published_at_ms),
        "estimatedCompletionAtMs": estimate(document, now, gateway.ports.now_ms()),
    }


def rungs_of(steps: Sequence[Values], known: Mapping[str, Values]) -> list[dict[str, Any]]:
    """Every planned rung, lowest first, those that have no chunk yet included."""
    details = {values["step"]: values["detail"] or {} for values in steps}
    chunks = details.get("cut", {}).get("chunks")
    planned = details.get(PLAN, {}).get("rungs", [])
    waiting = {"state": "waiting", "chunks_total": None, "chunks_done": 0, "size_bytes": 0}
    merged = {one["name"]: {**waiting, **one, "rung": one["name"]} for one in planned}
    for name, values in known.items():
        merged[name] = {
            **merged.get(name, {}),
            **{k: v for k, v in values.items() if v is not None},
        }
    found = [rung(values, chunks) for values in merged.values()]
    return sorted(found, key=lambda one: (one["height"], one["rung"]))


def step(values: Values) -> dict[str, Any]:
    return {
        "step": values["step"],
        "state": values["state"],
        "worker": values["worker"] or "",
        "attempt": values["attempt"],
        "atMs": values["at_ms"] or 0,
    }


def rung(values: Values, chunks: int | None) -> dict[str, Any]:
    """chunks is how many the source was cut into; a rung's end does not count them again."""
    total = values.get("chunks_total") or chunks
    done = values.get("chunks_done") or 0
    if values["state"] == "complete":
        done = total = total or 1
    return {
        "rung": values["rung"],
        "state": values["state"],
        "width": values.get("width") or 0,
        "height": values.get("height") or 0,
        "chunksDone": done,
        "chunksTotal": total,
        "sizeBytes": values["size_bytes"] or 0,
    }


def estimate(document: VideoDocument, rungs: Sequence[Values], now_ms: int) -> int | None:
    """When it is done if it goes on as it went; None while that can't be said.

    A chunk of a rung is weighed by its pixels, as encoding costs.
    """
    if document.state not in {"PROCESSING", "READY"} or document.complete or not rungs:
        return None
    done = total = 0
    for found in rungs:
        if found["chunksTotal"] is None:
            return None
        pixels = max(1, found["width"] * found["height"])
        done += pixels * found["chunksDone"]
        total += pixels * found["chunksTotal"]
    if not done or now_ms <= document.stored_at_ms:
        return None
    return now_ms + (now_ms - document.stored_at_ms) * (total - done) // done
