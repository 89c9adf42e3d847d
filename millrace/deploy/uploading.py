"""Uploads a file as any client would: announced, sent in parallel parts, resumed, completed.

What was begun is remembered beside the user's other state, so that a second try of the same file,
after a lost network or a kill, sends only what is missing (ING-2).
"""

import asyncio
import json
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp

from millrace.deploy.client import ApiError, Client

PARALLEL = 4
PART_ATTEMPTS_MAX = 5
# Kinds that are worth another try: the network's, the store's own trouble, an expired signature.
RETRIED = frozenset({403, 408, 429, 500, 502, 503, 504, 507})
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A completed upload and the file it was made of."""

    video_id: str
    upload_id: str


def digest(path: Path) -> str:
    """SHA-256 of the file, hexadecimal."""
    found = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


class Sessions:
    """Upload sessions that were begun and not completed, by server and file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def all(self) -> dict[str, str]:
        if not self.place.is_file():
            return {}
        found: dict[str, str] = json.loads(self.place.read_text())
        return found

    def get(self, name: str) -> str | None:
        return self.all().get(name)

    def put(self, name: str, upload_id: str | None) -> None:
        """Remembers the session, or forgets it where None."""
        known = {key: value for key, value in self.all().items() if key != name}
        if upload_id is not None:
            known[name] = upload_id
        self.place.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.place.with_suffix(".new")
        fresh.write_text(json.dumps(known))
        fresh.replace(self.place)


async def upload(
    client: Client, path: Path, sessions: Sessions, progress: Progress, title: str | None = None
) -> Uploaded:
    """Sends the file. Raises ApiError; a repeat goes on where this one stopped."""
    name = f"{client.at.url} {path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}"
    session = await resumed(client, sessions.get(name))
    if session is None:
        session = await announced(client, path, title)
        sessions.put(name, session["uploadSessionId"])
    upload_id = session["uploadSessionId"]
    parts = await sent(client, path, session, progress)
    body = {"parts": [{"number": n, "etag": etag} for n, etag in sorted(parts.items())]}
    await client.call("POST", f"/v1/uploads/{upload_id}/complete", body)
    sessions.put(name, None)
    return Uploaded(session["videoId"], upload_id)


async def announced(client: Client, path: Path, title: str | None) -> dict[str, Any]:
    kind, _ = mimetypes.guess_type(path.name)
    body = {
        "title": title or path.stem,
        "description": "",
        "visibility": "public",
        "contentType": kind or "application/octet-stream",
        "sizeBytes": path.stat().st_size,
        "sha256": await asyncio.to_thread(digest, path),
        "fileName": path.name,
    }
    session: dict[str, Any] = await client.call("POST", "/v1/uploads", body)
    return session


async def resumed(client: Client, upload_id: str | None) -> dict[str, Any] | None:
    """The session as it stands, None where there is none that is open."""
    if upload_id is None:
        return None
    try:
        session: dict[str, Any] = await client.call("GET", f"/v1/uploads/{upload_id}")
    except ApiError as problem:
        if problem.status in (403, 404, 410):
            return None
        raise
    return session if session["state"] == "open" else None


async def sent(
    client: Client, path: Path, session: dict[str, Any], progress: Progress
) -> dict[int, str]:
    """ETag of every part, those that the store had already included."""
    size_bytes = session["sizeBytes"]
    etags = {part["number"]: part["etag"] for part in session.get("stored", [])}
    done_bytes = sum(part["sizeBytes"] for part in session.get("stored", []))
    progress(done_bytes, size_bytes)
    gate = asyncio.Semaphore(PARALLEL)

    async def one(number: int, url: str) -> None:
        nonlocal done_bytes
        async with gate:
            data = await asyncio.to_thread(part_of, path, number, session["partSizeBytes"])
            etags[number] = await put(client, url, number, session["uploadSessionId"], data)
            done_bytes += len(data)
            progress(done_bytes, size_bytes)

    page = session
    while page["partUrls"]:
        async with asyncio.TaskGroup() as group:
            for part in page["partUrls"]:
                group.create_task(one(part["number"], part["url"]))
        if page["nextPart"] is None:
            break
        address = f"/v1/uploads/{session['uploadSessionId']}"
        page = await client.call("GET", address, afterPart=page["nextPart"] - 1)
    return etags


def part_of(path: Path, number: int, part_size_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek((number - 1) * part_size_bytes)
        return file.read(part_size_bytes)


async def put(client: Client, url: str, number: int, upload_id: str, data: bytes) -> str:
    """Sends a part until it is there; the store's ETag. Raises ApiError after the last attempt."""
    for attempt in range(1, PART_ATTEMPTS_MAX + 1):
        try:
            # Presigned: the store must not see our token.
            async with aiohttp.request("PUT", url, data=data) as response:
                await response.read()
                if response.status == 200:
                    return response.headers["ETag"].strip('"')
                if response.status not in RETRIED:
                    raise ApiError(response.status, "part_refused", f"part {number} was refused")
        except (aiohttp.ClientError, TimeoutError):
            if attempt == PART_ATTEMPTS_MAX:
                raise
        await asyncio.sleep(0.25 * 2**attempt)
        page = await client.call("GET", f"/v1/uploads/{upload_id}", afterPart=number - 1)
        url = next((p["url"] for p in page["partUrls"] if p["number"] == number), url)
    raise ApiError(0, "part_not_sent", f"part {number} could not be sent; try again to go on")
