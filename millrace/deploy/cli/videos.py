"""Commands that read videos: `videos`, `status`, `explain`, `views`."""

import click
from rich.table import Table

from millrace.deploy.cli.shell import Answer, console, moment, run, with_server
from millrace.deploy.client import Client
from millrace.deploy.settings import Settings


@click.command("videos")
@click.option("--limit", default=50, show_default=True, help="How many, newest first.")
@with_server
def videos_command(limit: int, as_json: bool, given: Settings) -> None:
    """List my videos."""

    async def work(client: Client) -> Answer:
        found: Answer = await client.call("GET", "/v1/creators/me/videos", limit=limit)
        return found

    def show(found: Answer) -> None:
        table = Table("video", "state", "complete", "length", "title")
        for video in found["items"]:
            length = f"{video['durationMs'] / 1000:.1f} s"
            complete = "yes" if video["complete"] else "no"
            table.add_row(video["videoId"], video["state"], complete, length, video["title"])
        console().print(table)

    run(given, "creator", work, as_json, show)


@click.command("status")
@click.argument("video")
@with_server
def status_command(video: str, as_json: bool, given: Settings) -> None:
    """Say how far VIDEO is: each step, and each rendition's chunks."""
    run(given, "creator", lambda client: read(client, video, "status"), as_json, show_status)


async def read(client: Client, video: str, what: str) -> Answer:
    found: Answer = await client.call("GET", f"/v1/videos/{video}/{what}")
    # A failed video is an answer here, not a failure of the command.
    return found if found.get("error") else {k: v for k, v in found.items() if k != "error"}


def show_status(found: Answer) -> None:
    complete = " complete" if found["complete"] else ""
    console().print(f"[bold]{found['state']}[/bold]{complete}", highlight=False, soft_wrap=True)
    for step in found["steps"]:
        console().print(f"  {step['step']:>6}  {step['state']}", highlight=False, soft_wrap=True)
    for rung in found["rungs"]:
        total = "?" if rung["chunksTotal"] is None else rung["chunksTotal"]
        text = f"  {rung['rung']:>6}  {rung['state']}, {rung['chunksDone']} of {total} chunks"
        console().print(text, highlight=False, soft_wrap=True)


@click.command("explain")
@click.argument("video")
@with_server
def explain_command(video: str, as_json: bool, given: Settings) -> None:
    """Say what VIDEO waits for, since when, who holds it, and what happens next."""

    def show(found: Answer) -> None:
        show_status(found)
        if not found["waiting"]:
            console().print("It waits for nothing.")
        for wait in found["waiting"]:
            console().print(
                f"[bold]{wait['topology']}[/bold] waits for {wait['waitsFor']}\n"
                f"  since {moment(wait['sinceMs'])}, held by {wait['holder'] or 'nobody'}\n"
                f"  next: {wait['next']}"
                f" (deadline {wait['deadlineName']} at {moment(wait['deadlineAtMs'])})",
                highlight=False,
                soft_wrap=True,
            )
        for event in found["history"]:
            console().print(
                f"  {moment(event['atMs'])}  {event['event']}", highlight=False, soft_wrap=True
            )

    run(given, "creator", lambda client: read(client, video, "explain"), as_json, show)


@click.command("views")
@click.argument("video")
@with_server
def views_command(video: str, as_json: bool, given: Settings) -> None:
    """Count the views of VIDEO, hour by hour."""

    def show(found: Answer) -> None:
        text = f"{found['counted']} counted, {found['rejected']} rejected, {found['late']} late"
        console().print(text, highlight=False, soft_wrap=True)

    run(given, "creator", lambda client: read(client, video, "views"), as_json, show)
