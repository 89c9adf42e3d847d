"""Uploads a file as any client would: announced, sent in parallel parts, resumed, completed.

What was begun is remembered beside the user's other state, so that a second try of the same file,
after a lost network or a kill, sends only what is missing (ING-2).
"""

import asyncio
import json
import mimetypes
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import file_digest
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp

from millrace.deploy.client import ApiError, Client

PARALLEL = 4
PART_ATTEMPTS_MAX = 5
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A completed upload and the file it was made of."""

    video_id: str
    upload_id: str


def digest(path: Path) -> str:
    """SHA-256 of the file, hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


class Sessions:
    """Uploads that were begun and not completed: the Idempotency-Key of each, by server and file.

    The key is remembered before it is first used, so that whatever answer gets lost, a repeat
    finds the same session and never makes a second video.
    """

    def __init__(self, place: Path) -> None:
        self.place = place

    def all(self) -> dict[str, str]:
        if not self.place.is_file():
            return {}
        found: dict[str, str] = json.loads(self.place.read_text())
        return found

    def begin(self, name: str) -> str:
        """The key of what was begun, else a fresh one, remembered."""
        key = self.all().get(name)
        if key is None:
            key = secrets.token_hex(16)
            self.write(self.all() | {name: key})
        return key

    def forget(self, name: str) -> None:
        self.write({key: value for key, value in self.all().items() if key != name})

    def write(self, known: dict[str, str]) -> None:
        self.place.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.place.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(known))
        fresh.replace(self.place)


async def upload(
    client: Client, path: Path, sessions: Sessions, progress: Progress, title: str | None = None
) -> Uploaded:
    """Sends the file. Raises ApiError; a repeat goes on where this one stopped."""
    body = await asyncio.to_thread(announcement, path, title)
    name = f"{client.at.url} {path.resolve()} {path.stat().st_mtime_ns} {json.dumps(body)}"
    session = await announced(client, body, sessions, name)
    upload_id = session["uploadSessionId"]
    if session["state"] == "open":
        await finish(client, path, session, progress)
    sessions.forget(name)
    return Uploaded(session["videoId"], upload_id)


def announcement(path: Path, title: str | None) -> dict[str, Any]:
    kind, _ = mimetypes.guess_type(path.name)
    return {
        "title": title or path.stem,
        "description": "",
        "visibility": "public",
        "contentType": kind or "application/octet-stream",
        "sizeBytes": path.stat().st_size,
        "sha256": digest(path),
        "fileName": path.name,
    }


async def announced(
    client: Client, body: dict[str, Any], sessions: Sessions, name: str
) -> dict[str, Any]:
    """The session of this file as it stands: open, or stored by an earlier try. Raises ApiError."""
    while True:
        headers = {"Idempotency-Key": sessions.begin(name)}
        made = await client.call("POST", "/v1/uploads", body, headers)
        session = await standing(client, made["uploadSessionId"])
        if session["state"] in ("open", "stored"):
            return session
        # Expired or refused: this file begins anew.
        sessions.forget(name)


async def standing(client: Client, upload_id: str, after: int = 0) -> dict[str, Any]:
    """The session, with what the store has and addresses for what is missing. Raises ApiError."""
    found: dict[str, Any] = await client.call("GET", f"/v1/uploads/{upload_id}", afterPart=after)
    return found


async def finish(client: Client, path: Path, session: dict[str, Any], progress: Progress) -> None:
    """Sends what is missing and completes. Raises ApiError."""
    upload_id = session["uploadSessionId"]
    try:
        parts = await sent(client, path, session, progress)
        body = {"parts": [{"number": n, "etag": etag} for n, etag in sorted(parts.items())]}
        await client.call("POST", f"/v1/uploads/{upload_id}/complete", body)
    except ApiError:
        # An earlier try may have been completed without hearing of it: then nothing is missing.
        if (await standing(client, upload_id))["state"] != "stored":
            raise


async def sent(
    client: Client, path: Path, session: dict[str, Any], progress: Progress
) -> dict[int, str]:
    """ETag of every part, those that the store had already included. Raises ApiError."""
    size_bytes = session["sizeBytes"]
    etags = {part["number"]: part["etag"] for part in session["stored"]}
    done_bytes = sum(part["sizeBytes"] for part in session["stored"])
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
        try:
            async with asyncio.TaskGroup() as group:
                for part in page["partUrls"]:
                    group.create_task(one(part["number"], part["url"]))
        except BaseExceptionGroup as problems:
            # The first says why; the others were stopped because of it.
            raise problems.exceptions[0] from problems
        if page["nextPart"] is None:
            break
        page = await standing(client, session["uploadSessionId"], page["nextPart"] - 1)
    return etags


def part_of(path: Path, number: int, part_size_bytes: int) -> bytes:
    with path.open("rb") as file:
        file.seek((number - 1) * part_size_bytes)
        return file.read(part_size_bytes)


async def put(client: Client, url: str, number: int, upload_id: str, data: bytes) -> str:
    """Sends a part until it is there; the store's ETag. Raises ApiError after the last attempt.

    Whatever the store answers, the session is asked again: an address may be old, its signature
    over, or its port another server's while this one starts again.
    """
    status = 0
    for attempt in range(1, PART_ATTEMPTS_MAX + 1):
        try:
            # Presigned: the store must not see our token.
            async with aiohttp.request("PUT", url, data=BytesIO(data)) as response:
                await response.read()
                if response.status == 200:
                    return response.headers["ETag"].strip('"')
                status = response.status
        except (aiohttp.ClientError, TimeoutError):
            # Counted like every other attempt; what is asked next says whether anybody answers.
            status = 0
        await asyncio.sleep(0.25 * 2**attempt)
        page = await standing(client, upload_id, number - 1)
        url = next((p["url"] for p in page["partUrls"] if p["number"] == number), url)
    why = f"the store answers HTTP {status}" if status else "the store does not answer"
    text = f"Part {number} could not be sent: {why}. The same command goes on where it stopped."
    raise ApiError(status, "part_not_sent", text)
