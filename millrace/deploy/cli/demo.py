"""`millrace demo`: the whole way of a video, with a server of its own."""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from millrace.deploy.cli.shell import Answer, console, end, notes, read_settings, with_client
from millrace.deploy.client import ApiError, Client, token_of
from millrace.deploy.outcome import followed, report
from millrace.deploy.playing import play
from millrace.deploy.settings import Settings
from millrace.deploy.uploading import Sessions, upload

CLIP = Path("var/clips/bigbuckbunny.mp4")
CLIP_TIMES = 6
COUNTED_WITHIN_S = 30.0
STOP_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A `millrace up` that this process started."""

    url: str
    process: subprocess.Popen[str]


@click.command("demo")
@click.option("--once", is_flag=True, help="End when the view is counted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.option(
    "--video",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of your own in place of the clip.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help="Folder of the demo's server.",
)
@click.option("--port", type=int, help="Port of the gateway; 8080 by default, any with --once.")
def demo_command(
    once: bool, as_json: bool, video: Path | None, data_dir: Path, port: int | None
) -> None:
    """Start a server, upload a clip, play it, and count the view."""
    given = read_settings(data_dir=data_dir, port=port if port is not None else 0 if once else None)
    if video is None and not CLIP.is_file():
        raise click.UsageError(
            f"{CLIP} is not there; `make clips` fetches it, or give --video FILE"
        )
    with tempfile.TemporaryDirectory() as scratch:
        source = video or repeated(Path(scratch))
        with running(given) as server:
            told(f"serving at {server.url}")
            found = shown(given, source)
            if once or "error" in found:
                stop(server.process)
                end(found, as_json, show)
            stay(server, given, found)


def repeated(folder: Path) -> Path:
    """Big Buck Bunny's clip, repeated to about 30 s."""
    from millrace.processors.media.repeat import repeat  # noqa: PLC0415 - codecs, for this alone

    path = folder / "Big Buck Bunny.mp4"
    repeat(CLIP, path, CLIP_TIMES)
    return path


@contextmanager
def running(given: Settings) -> Iterator[Server]:
    """A server of our own, stopped at the end whatever happens. Raises ClickException."""
    command = [sys.executable, "-m", "millrace.deploy.cli", "up"]
    command += ["--data-dir", str(given.data_dir), "--port", str(given.port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready "):
            raise click.ClickException("the server did not start; it says why above")
        yield Server(line.split()[1], process)
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """Asks it to finish what it has in hand; it is killed where it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def shown(given: Settings, source: Path) -> Answer:
    try:
        return asyncio.run(
            with_client(given, "creator", lambda client: whole_way(client, given, source))
        )
    except ApiError as problem:
        return {"state": "ERROR", "error": {"code": problem.code, "text": problem.text}}


async def whole_way(client: Client, given: Settings, source: Path) -> Answer:
    """Upload, wait, play, count."""
    found = await uploaded(client, given, source)
    return found if "error" in found else await counted_view(client, found)


async def uploaded(client: Client, given: Settings, source: Path) -> Answer:
    """What became of the file, once it is published or has failed."""
    told(f"uploading {source.name}")
    sessions = Sessions(given.data_dir / "client-uploads.json")
    done = await upload(client, source, sessions, lambda sent, total: None)
    seconds = await followed(client, done.video_id, "published", Narrator())
    return await report(client, done.video_id, seconds)


async def counted_view(client: Client, found: Answer) -> Answer:
    """The same, with the views that are counted once it was played."""
    told("playing it")
    watched_ms = await play(client.at, found["video_id"])
    told(f"{watched_ms / 1000:.1f} s were watched; waiting for the view to be counted")
    return found | {"counted_views": await counted(client, found["video_id"])}


class Narrator:
    """Says each state once."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, status: dict[str, Any]) -> None:
        complete = " (complete)" if status["complete"] else ""
        done = ", ".join(f"{r['rung']} {r['chunksDone']}" for r in status["rungs"])
        text = f"{status['state']}{complete}  {done}".strip()
        if text != self.last:
            self.last = text
            told(text)


async def counted(client: Client, video_id: str) -> int:
    """The count, once it is there; what is there when the time is over otherwise."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + COUNTED_WITHIN_S
    while True:
        views = await client.call("GET", f"/v1/videos/{video_id}/views")
        if views["counted"] or loop.time() > until_s:
            return int(views["counted"])
        await asyncio.sleep(0.2)


def told(text: str) -> None:
    notes().print(text, highlight=False, soft_wrap=True)


def show(found: Answer) -> None:
    console().print_json(json.dumps(found))


def stay(server: Server, given: Settings, found: Answer) -> None:
    """Serves until it is interrupted."""
    show(found)
    studio = f"{server.url}/?token={token_of(given.data_dir, 'creator')}"
    console().print(f"\nStudio:   {studio}", highlight=False, soft_wrap=True)
    console().print(f"Watch it: [bold]{found['watch_url']}[/bold]   (Ctrl-C stops)")
    try:
        server.process.wait()
    except KeyboardInterrupt:
        told("stopping")
