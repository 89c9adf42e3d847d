"""Opaque cursors, bounded limits, ids in paths (API-4). Nothing that a client sends is trusted."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from re import compile as pattern
from typing import Any

from aiohttp import web

from millrace.gateway.errors import BAD_PARAMETER, Problem, not_found
from millrace.sinks.ports import Key

ID = pattern(r"[0-9a-f]{32}")
NUMBER = pattern(r"-?[0-9]{1,18}")
CURSOR_CHARACTERS_MAX = 1000


def path_id(request: web.Request, name: str, what: str) -> str:
    """An id out of the path. Raises Problem 404: what has no such form can't exist."""
    value = request.match_info[name]
    if not ID.fullmatch(value):
        raise not_found(what)
    return value


def number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A number out of the query. Raises Problem 400."""
    text = request.query.get(name)
    if text is None:
        return default
    if not NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise Problem(BAD_PARAMETER, name=name, why=f"it is a number from {low} to {high}")
    return int(text)


def limit(request: web.Request, default: int = 20, high: int = 100) -> int:
    return number(request, "limit", default, 1, high)


def cursor(request: web.Request, types: Sequence[type[Any]]) -> Key | None:
    """The clustering key that a cursor holds, of these types. Raises Problem 400."""
    text = request.query.get("cursor")
    if text is None:
        return None
    try:
        assert_short(text)
        values = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=="))
    except (ValueError, RecursionError) as problem:
        raise Problem(BAD_PARAMETER, name="cursor", why="it is none of ours") from problem
    fits = isinstance(values, list) and [type(value) for value in values] == list(types)
    if not fits or any(isinstance(v, int) and abs(v) >= 1 << 63 for v in values):
        raise Problem(BAD_PARAMETER, name="cursor", why="it is none of ours")
    return tuple(values)


def assert_short(text: str) -> None:
    if len(text) > CURSOR_CHARACTERS_MAX:
        raise ValueError("too long")


def as_cursor(after: Key | None) -> str | None:
    if after is None:
        return None
    data = json.dumps(list(after), separators=(",", ":")).encode()
    return urlsafe_b64encode(data).decode().rstrip("=")
