"""The HTTP API as the command line uses it: a token, problem details as exceptions, events.

It knows addresses and JSON, nothing of what is behind them.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from millrace.deploy.settings import Settings

SERVER_FILE = "server.json"
TOKENS = "tokens"
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
SILENT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=None)


class ApiError(Exception):
    """An answer that is no success; code and text are the problem details'."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass(frozen=True, slots=True)
class Target:
    """Which gateway, and as whom."""

    url: str
    token: str


def target(settings: Settings, role: str) -> Target:
    """The gateway named by settings, else the one that runs over the data folder.

    Raises ApiError `no_server` where there is none, `no_token` where nothing says who asks.
    """
    url = settings.server
    if not url:
        place = settings.data_dir / SERVER_FILE
        if not place.is_file():
            text = f"No server: {place} is not there. Run `millrace up`, or name one with --server."
            raise ApiError(0, "no_server", text)
        url = json.loads(place.read_text())["url"]
    token = settings.token or token_of(settings.data_dir, role)
    return Target(url.rstrip("/"), token)


def token_of(data_dir: Path, role: str) -> str:
    place = data_dir / TOKENS / role
    if not place.is_file():
        text = f"No token: {place} is not there. Set MILLRACE_TOKEN."
        raise ApiError(0, "no_token", text)
    return place.read_text().strip()


class Client:
    """A session with one gateway; an async context manager."""

    def __init__(self, at: Target) -> None:
        self.at = at
        self.position = ""

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self.at.token}"}
        self.session = aiohttp.ClientSession(headers=headers, timeout=TIMEOUT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.session.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        silent: bool = False,
        **params: Any,
    ) -> Any:
        """The JSON of a success; what was written is seen by the next read (API-6).

        A silent call may take hours to say its first byte.
        Raises ApiError for any other answer, and `unreachable` where nothing answers.
        """
        sent = dict(headers or {})
        if self.position:
            sent["Millrace-Position"] = self.position
        asked = {name: str(value) for name, value in params.items() if value is not None}
        try:
            async with self.session.request(
                method,
                self.at.url + path,
                json=body,
                params=asked,
                headers=sent,
                timeout=SILENT if silent else TIMEOUT,
            ) as response:
                self.position = response.headers.get("Millrace-Position", self.position)
                return await answer(response)
        except (aiohttp.ClientError, TimeoutError) as problem:
            text = f"{self.at.url} does not answer ({type(problem).__name__}). Is it running?"
            raise ApiError(0, "unreachable", text) from problem

    async def events(self, video_id: str) -> AsyncIterator[dict[str, Any]]:
        """The status of a video at each change, until it is final (TRN-15)."""
        address = f"{self.at.url}/v1/videos/{video_id}/events"
        try:
            async with self.session.get(address) as response:
                if response.status != 200:
                    await answer(response)
                async for line in response.content:
                    if line.startswith(b"data: "):
                        yield json.loads(line[6:])
        except (aiohttp.ClientError, TimeoutError) as problem:
            text = f"{self.at.url} closed the line ({type(problem).__name__})."
            raise ApiError(0, "unreachable", text) from problem


async def answer(response: aiohttp.ClientResponse) -> Any:
    text = await response.text()
    if response.status < 300:
        return json.loads(text) if text else None
    try:
        problem = json.loads(text)
        raise ApiError(response.status, problem["code"], problem["detail"])
    except (ValueError, KeyError, TypeError):
        raise ApiError(response.status, "http_error", f"HTTP {response.status}") from None
