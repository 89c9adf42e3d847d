"""`millrace upload`: files in, and word of what became of them."""

from pathlib import Path
from typing import Any

import click
from rich.progress import Progress, TaskID

from millrace.deploy.cli.shell import Answer, console, notes, run, with_server
from millrace.deploy.client import Client
from millrace.deploy.outcome import followed, report
from millrace.deploy.settings import Settings
from millrace.deploy.uploading import Sessions, upload


@click.command("upload")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--title", help="Title of the video; the file's name by default.")
@click.option(
    "--wait",
    type=click.Choice(["playable", "published"]),
    default="published",
    show_default=True,
    help="Return when the video can be watched, or when every rendition is there.",
)
@with_server
def upload_command(
    files: tuple[Path, ...], title: str | None, wait: str, as_json: bool, given: Settings
) -> None:
    """Upload FILES in parallel parts; an interrupted upload goes on where it stopped."""

    async def work(client: Client) -> Answer:
        sessions = Sessions(given.data_dir / "client-uploads.json")
        with Progress(console=notes(), transient=True, disable=as_json) as bars:
            found = [await one(client, path, title, wait, sessions, bars) for path in files]
        if len(found) == 1:
            return found[0]
        failed = [answer["error"] for answer in found if "error" in answer]
        both = {"state": "FAILED", "error": failed[0]} if failed else {}
        return {"videos": found, **both}

    run(given, "creator", work, as_json, show)


async def one(
    client: Client, path: Path, title: str | None, wait: str, sessions: Sessions, bars: Progress
) -> Answer:
    """One file's whole way; the JSON of `upload`."""
    task = bars.add_task(path.name, total=path.stat().st_size)
    done = await upload(
        client,
        path,
        sessions,
        lambda sent, total: bars.update(task, completed=sent, total=total),
        title,
    )
    seconds = await followed(client, done.video_id, wait, lambda status: told(bars, task, status))
    return await report(client, done.video_id, seconds)


def told(bars: Progress, task: TaskID, status: dict[str, Any]) -> None:
    """Chunks done of those expected, over all rungs, as a bar."""
    rungs = status["rungs"]
    total = sum(rung["chunksTotal"] or 0 for rung in rungs)
    done = sum(rung["chunksDone"] for rung in rungs)
    if total:
        bars.update(task, description=status["state"], completed=done, total=total)
    else:
        bars.update(task, description=status["state"])


def show(found: Answer) -> None:
    for video in found.get("videos", [found]):
        console().print(
            f"[bold]{video['video_id']}[/bold] {video['state']}", highlight=False, soft_wrap=True
        )
        for rung in video["renditions"]:
            size = f"{rung['width']}x{rung['height']}"
            text = f"  {rung['rung']:>6}  {size:>9}  {rung['segments']} segments"
            console().print(text, highlight=False, soft_wrap=True)
        console().print(f"  watch: {video['watch_url']}", highlight=False, soft_wrap=True)
