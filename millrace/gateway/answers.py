"""How answers look: JSON in camelCase, units last in names, the position of what was written."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from millrace.schemas.events import Position
from millrace.sinks.ports import Appended

POSITION_HEADER = "Millrace-Position"
ENCODER = msgspec.json.Encoder()
HEADERS = {"Cache-Control": "no-store", "Content-Type": "application/json"}


def iso(at_ms: int) -> str:
    """2026-01-31T12:00:00.000Z."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def or_none(at_ms: int) -> int | None:
    """None for 0, which events use for `not yet`."""
    return at_ms or None


def answer(
    body: Mapping[str, Any],
    status: int = 200,
    *,
    position: Appended | Position | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """A JSON answer, not cached by anybody unless headers say so."""
    found = {**HEADERS, **(headers or {})}
    if position is not None:
        found[POSITION_HEADER] = f"{position.topic}:{position.partition}:{position.offset}"
    return web.Response(
        status=status,
        body=ENCODER.encode(body),
        headers=found,
    )
