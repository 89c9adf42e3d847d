"""GET /openapi.json (API-5): written by hand beside this file, true to the code by test."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from millrace.gateway.answers import answer

PATH = Path(__file__).parent / "openapi.json"


@cache
def description() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    found: dict[str, Any] = json.loads(PATH.read_text())
    return found


async def read(request: web.Request) -> web.Response:
    return answer(description(), headers={"Access-Control-Allow-Origin": "*"})
