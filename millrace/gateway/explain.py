"""GET /v1/videos/{id}/explain (OPS-3): what it waits for, since when, who holds it, what next."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from millrace.gateway.answers import answer
from millrace.gateway.context import gateway_of
from millrace.gateway.status import document_in_path, status
from millrace.sinks.tables import HISTORY, WAITING

HISTORY_MAX = 200
WAITING_MAX = 100


async def read(request: web.Request) -> web.Response:
    gateway = gateway_of(request)
    document = await document_in_path(request)
    tables, key = gateway.ports.tables, (document.video_id,)
    waiting = await gateway.read(tables.page, WAITING, key, limit=WAITING_MAX)
    history = await gateway.read(tables.page, HISTORY, key, limit=HISTORY_MAX, descending=True)
    now_ms = gateway.ports.now_ms()
    body = await status(gateway, document)
    body["waiting"] = [waits(row.values, now_ms) for row in waiting.rows]
    body["history"] = [
        {
            "position": row.values["position"],
            "event": row.values["event"],
            "atMs": row.values["at_ms"],
            "detail": row.values["detail"],
        }
        for row in reversed(history.rows)
    ]
    return answer(body)


def overdue_ms(deadline_at_ms: int, now_ms: int) -> int:
    """How long the deadline is past; 0 where there is none, which 0 says."""
    return max(0, now_ms - deadline_at_ms) if deadline_at_ms else 0


def waits(values: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    return {
        "topology": values["topology"],
        "step": values["step"],
        "waitsFor": values["waits_for"],
        "sinceMs": values["since_ms"],
        "holder": values["holder"] or "",
        "next": values["next"],
        "deadlineName": values["deadline_name"],
        "deadlineAtMs": values["deadline_at_ms"],
        "overdueMs": overdue_ms(values["deadline_at_ms"], now_ms),
    }
