"""Operators' commands: the log, dead letters, describe, rebuild, fsck."""

from typing import Any

import click
from rich.table import Table

from millrace.deploy.cli.shell import Answer, console, moment, run, with_server
from millrace.deploy.client import Client
from millrace.deploy.settings import Settings
from millrace.streams.describe import describe_mermaid, describe_text
from millrace.streams.topologies import TOPOLOGIES


@click.command("log")
@click.argument("topic")
@click.option("--partition", default=0, show_default=True)
@click.option("--after", default=-1, show_default=True, help="Offset after which to read.")
@click.option("--limit", default=100, show_default=True)
@with_server
def log_command(
    topic: str, partition: int, after: int, limit: int, as_json: bool, given: Settings
) -> None:
    """Read records of TOPIC."""

    async def work(client: Client) -> Answer:
        place: dict[str, Any] = {"partition": partition, "after": after, "limit": limit}
        found: Answer = await client.call("GET", f"/v1/log/{topic}", **place)
        page = found
        # An answer may hold fewer than were asked for, none too, before the end.
        while page["after"] + 1 < page["end"] and len(found["records"]) < limit:
            place |= {"after": page["after"], "limit": limit - len(found["records"])}
            page = await client.call("GET", f"/v1/log/{topic}", **place)
            found["records"] += page["records"]
            found["after"] = page["after"]
        return found

    def show(found: Answer) -> None:
        for record in found["records"]:
            place = f"{record['offset']:>8}  {moment(record['atMs'])}  {record['key']}"
            console().print(f"{place}  {record['event']}", highlight=False, soft_wrap=True)

    run(given, "operator", work, as_json, show)


@click.group("dead-letters")
def dead_letters_command() -> None:
    """See what nobody could process, and try it again."""


@dead_letters_command.command("list")
@with_server
def list_command(as_json: bool, given: Settings) -> None:
    """List dead letters."""

    async def work(client: Client) -> Answer:
        found: Answer = await client.call("GET", "/v1/dead-letters")
        return found

    def show(found: Answer) -> None:
        table = Table("letter", "kind", "step", "topic", "offset", "reason")
        for letter in found["items"]:
            place = f"{letter['topic']}/{letter['partition']}"
            step = f"{letter['topology']}/{letter['step']}"
            row = letter["letterId"], letter["kind"], step, place, str(letter["offset"])
            table.add_row(*row, letter["reason"])
        console().print(table)

    run(given, "operator", work, as_json, show)


@dead_letters_command.command("show")
@click.argument("letter")
@with_server
def show_command(letter: str, as_json: bool, given: Settings) -> None:
    """Show LETTER whole."""

    async def work(client: Client) -> Answer:
        found: Answer = await client.call("GET", f"/v1/dead-letters/{letter}")
        return found

    run(given, "operator", work, as_json, lambda found: console().print_json(data=found))


@dead_letters_command.command("redrive")
@click.argument("letter")
@with_server
def redrive_command(letter: str, as_json: bool, given: Settings) -> None:
    """Ask for LETTER to be tried again; the request is a record on the log."""

    async def work(client: Client) -> Answer:
        found: Answer = await client.call("POST", f"/v1/dead-letters/{letter}/redrive")
        return found

    run(given, "operator", work, as_json, lambda _: console().print("It will be tried again."))


@click.command("describe")
@click.option("--mermaid", is_flag=True, help="As a Mermaid graph.")
def describe_command(mermaid: bool) -> None:
    """Print the topologies: what each step reads and writes."""
    click.echo(describe_mermaid(TOPOLOGIES) if mermaid else describe_text(TOPOLOGIES))


@click.command("rebuild")
@click.argument("projection")
@click.option(
    "--verify", "then", flag_value="verify", default=True, help="Compare alone; the default."
)
@click.option("--switch", "then", flag_value="switch", help="Of a cluster: then read the new rows.")
@click.option(
    "--roll-back", "then", flag_value="roll-back", help="Read the rows before the switch again."
)
@with_server
def rebuild_command(projection: str, then: str, as_json: bool, given: Settings) -> None:
    """Make the rows of PROJECTION (or all) again from the log, in a fresh space, and compare.

    A cluster's tables move together: --switch and --roll-back are of all.
    """

    async def work(client: Client) -> Answer:
        body = {"projection": projection, "then": then}
        found: Answer = await client.call("POST", "/v1/operations/rebuild", body, silent=True)
        if found["differences"] and then == "verify":
            text = f"{len(found['differences'])} rows differ from what the log says."
            return {**found, "state": "DIFFERENT", "error": {"code": "rows_differ", "text": text}}
        return found

    def show(found: Answer) -> None:
        for table in found["tables"]:
            console().print(
                f"{table['table']}: {table['rows']} rows, {table['different']} different",
                highlight=False,
                soft_wrap=True,
            )
        if "keyspace" in found:
            console().print(f"read from {found['keyspace']}", highlight=False, soft_wrap=True)

    run(given, "operator", work, as_json, show)


@click.command("fsck")
@with_server
def fsck_command(as_json: bool, given: Settings) -> None:
    """Compare the objects with the log: what is missing, altered or nobody's."""

    async def work(client: Client) -> Answer:
        found: Answer = await client.call("POST", "/v1/operations/fsck", silent=True)
        if found["missing"] or found["altered"]:
            text = f"{len(found['missing'])} missing, {len(found['altered'])} altered objects."
            return {**found, "state": "DAMAGED", "error": {"code": "objects_damaged", "text": text}}
        return found

    def show(found: Answer) -> None:
        text = f"{found['checked']} objects as the log says, {len(found['orphans'])} nobody's"
        text += f", {len(found['leaked'])} left behind by videos that ended"
        console().print(text, highlight=False, soft_wrap=True)

    run(given, "operator", work, as_json, show)
