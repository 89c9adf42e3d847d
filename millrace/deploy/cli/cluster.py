"""Commands that make a cluster ready and look at it: topics, tables, bucket, keys, lag.

They speak to the servers themselves, as no gateway need run yet. What they need is imported when
they run: on one machine Kafka's, Cassandra's and S3's libraries are not installed.
"""

import asyncio
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from millrace.deploy.cli.shell import console, read_settings
from millrace.deploy.clock import now_ms
from millrace.deploy.keys import keys_place, open_keys, write_tokens
from millrace.deploy.settings import Settings
from millrace.gateway.auth import Tokens
from millrace.sinks.ports import SinkError


def with_cluster(*ports: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command over a cluster: --data-dir, and an option `port` as the setting of that name.

    One argument `given`; what is not installed, or does not answer, is said without a trace.
    """

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "--data-dir", type=click.Path(path_type=Path), help="Folder of keys and tokens."
        )
        @functools.wraps(command)
        def wrapped(data_dir: Path | None, port: int | None = None, **arguments: Any) -> Any:
            given = read_settings(data_dir=data_dir, **dict.fromkeys(ports, port))
            given.data_dir.mkdir(parents=True, exist_ok=True)
            try:
                return command(given=given, **arguments)
            except ModuleNotFoundError as missing:
                text = f"{missing.name} is not installed: a cluster needs `millrace[cluster]`"
                raise click.ClickException(text) from missing
            except SinkError as problem:
                raise click.ClickException(str(problem)) from problem

        return wrapped

    return decorated


@click.group("topics")
def topics_command() -> None:
    """Kafka's topics, as the catalogue has them."""


@topics_command.command("apply")
@with_cluster()
def apply_command(given: Settings) -> None:
    """Make what is missing; a repeat does nothing. Refused where a topic can't be made right."""
    for line in apply_topics(given):
        click.echo(line)


def apply_topics(given: Settings) -> list[str]:
    """What was done. Raises ClickException."""
    from millrace.deploy.places import kafka_place  # noqa: PLC0415
    from millrace.streams.kafka import admin  # noqa: PLC0415

    try:
        return admin.apply(kafka_place(given))
    except admin.TopicsRefused as problem:
        raise click.ClickException("\n".join(problem.differences)) from problem


@topics_command.command("check")
@with_cluster()
def check_command(given: Settings) -> None:
    """Say where topics are not as they should be; exit 1 where one is not."""
    from millrace.deploy.places import kafka_place  # noqa: PLC0415
    from millrace.streams.kafka import admin  # noqa: PLC0415

    found = admin.check(kafka_place(given))
    for line in found:
        click.echo(line)
    if found:
        raise click.exceptions.Exit(1)


@click.command("migrate")
@with_cluster()
def migrate_command(given: Settings) -> None:
    """Make Cassandra's tables; what was made before stays."""
    applied = migrate_tables(given)
    click.echo(f"applied {', '.join(map(str, applied))}" if applied else "nothing to do")


def migrate_tables(given: Settings) -> tuple[int, ...]:
    """The migrations applied now."""
    from millrace.deploy.places import cassandra_place  # noqa: PLC0415
    from millrace.sinks.cassandra_keyspaces import Keyspaces  # noqa: PLC0415
    from millrace.sinks.cassandra_session import CassandraSession  # noqa: PLC0415
    from millrace.sinks.migrations import migrate  # noqa: PLC0415

    session = CassandraSession(cassandra_place(given))
    try:
        return migrate(Keyspaces(session, given.keyspace), now_ms)
    except ValueError as problem:
        raise click.ClickException(f"{problem}; `millrace rebuild all --switch`") from problem
    finally:
        session.close()


@click.command("bucket")
@click.option(
    "--origin", "origins", multiple=True, help="Pages of this origin may upload; else any."
)
@with_cluster()
def bucket_command(origins: tuple[str, ...], given: Settings) -> None:
    """Make S3's bucket, let pages PUT parts into it, and try out what the store depends on."""
    make_bucket(given, origins or ("*",))
    click.echo(f"{given.s3_bucket} is as it should be")


def make_bucket(given: Settings, origins: tuple[str, ...] = ("*",)) -> None:
    from millrace.deploy.places import s3_place  # noqa: PLC0415
    from millrace.sinks.s3_bucket import prepare  # noqa: PLC0415

    prepare(s3_place(given), origins)


@click.command("keys")
@click.option("--rotate", is_flag=True, help="Sign with new keys; the two before stay good.")
@with_cluster()
def keys_command(rotate: bool, given: Settings) -> None:
    """Make the keys that all gateways and edges share, and a token a role beside them.

    After a rotation edges are started again first, gateways after them.
    """
    make_keys(given, rotate)
    click.echo(f"keys in {keys_place(given)}, tokens in {given.data_dir / 'tokens'}")


def make_keys(given: Settings, rotate: bool = False) -> None:
    keys = open_keys(keys_place(given), rotate=rotate)
    write_tokens(given.data_dir, Tokens(keys.token, keys.pseudonym, now_ms))


@click.command("lag")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_cluster()
def lag_command(as_json: bool, given: Settings) -> None:
    """How many records each group of workers has yet to take, by topic."""
    from millrace.deploy.groups import groups  # noqa: PLC0415
    from millrace.deploy.places import kafka_place  # noqa: PLC0415
    from millrace.streams.kafka.lag import lag  # noqa: PLC0415

    found = asyncio.run(lag(kafka_place(given), groups()))
    if as_json:
        click.echo(json.dumps({"lag": [one._asdict() for one in found]}))
        return
    table = Table("group", "topic", "records")
    for one in found:
        table.add_row(one.group, one.topic, str(one.records))
    console().print(table)


@click.command("reconcile")
@click.option("--mend", is_flag=True, help="Tell of what was missed, and throw away what is left.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_cluster()
def reconcile_command(mend: bool, as_json: bool, given: Settings) -> None:
    """Find originals that no notification told of, and uploads that nobody will end."""
    from millrace.deploy.composition_reconcile import reconcile  # noqa: PLC0415

    found = asyncio.run(reconcile(given, mend))
    if as_json:
        click.echo(json.dumps(found))
        return
    for what, keys in found.items():
        click.echo(f"{what}: {len(keys)}")
        for key in keys:
            click.echo(f"  {key}")
