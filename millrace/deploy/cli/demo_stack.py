"""`millrace demo-stack`: the demo over the real stack, with two of everything that may be two.

It starts gateways, an edge and workers as an operator would, by their own commands, and ends them
all; the servers of the stack it leaves as they are.
"""

import asyncio
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from millrace.deploy.cli.cluster import apply_topics, make_bucket, make_keys, migrate_tables
from millrace.deploy.cli.demo import CLIP, counted_view, repeated, show, told, uploaded
from millrace.deploy.cli.shell import Answer, console, end, read_settings
from millrace.deploy.client import ApiError, Client, target, token_of
from millrace.deploy.settings import PREFIX, Settings, handed_on
from millrace.deploy.stack.places import HOST, S3_ACCESS_KEY, S3_REGION, S3_SECRET_KEY, Places
from millrace.sinks.ports import SinkError

WORKERS = ("a", "b")
# A first start makes topics and tables, and what the workers import is read from disk.
READY_WITHIN_S = 180.0
STOP_WITHIN_S = 90.0


def stack_settings(places: Places, name: str) -> dict[str, str]:
    """Settings of an installation of that name on the stack of `make stack`."""
    return {
        "kafka": f"{HOST}:{places.kafka_port}",
        "topic_prefix": f"{name}-",
        "cassandra": HOST,
        "cassandra_port": str(places.cassandra_port),
        "keyspace": name,
        "s3_endpoint": f"http://{HOST}:{places.s3_port}",
        "s3_bucket": f"millrace-{name}",
        "s3_region": S3_REGION,
        "s3_access_key": S3_ACCESS_KEY,
        "s3_secret_key": S3_SECRET_KEY,
        "redis": f"redis://{HOST}:{places.redis_port}",
        "redis_prefix": f"{name}:",
    }


class NotStarted(Exception):
    """A process ended, or was silent too long, before it was ready."""


@dataclass(slots=True)
class Process:
    """A `millrace` command under way. What it prints is read to the end, and kept."""

    name: str
    running: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def begin(cls, arguments: Sequence[str], settings: Mapping[str, str]) -> "Process":
        running = subprocess.Popen(
            [sys.executable, "-m", "millrace.deploy.cli", *arguments],
            env=handed_on(settings),
            stdout=subprocess.PIPE,
            text=True,
        )
        process = cls(" ".join(arguments), running)
        threading.Thread(target=process.read, name=process.name, daemon=True).start()
        return process

    def read(self) -> None:
        assert self.running.stdout is not None
        for line in self.running.stdout:
            self.lines.append(line.strip())
            if line.startswith("ready "):
                self.ready.set()
            elif " ended with " in line:
                told(f"{self.name}: {line.strip()}")
        self.ready.set()

    def wait(self) -> str:
        """What it said after `ready`. Raises NotStarted."""
        self.ready.wait(READY_WITHIN_S)
        last = next((line for line in self.lines if line.startswith("ready ")), None)
        if last is None:
            raise NotStarted(f"`millrace {self.name}` did not start; it says why above")
        return last.split()[1]


@click.command("demo-stack")
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
    default=Path("var/demo-stack"),
    show_default=True,
    help="Folder of the demo's keys and tokens.",
)
def demo_stack_command(once: bool, as_json: bool, video: Path | None, data_dir: Path) -> None:
    """Start gateways, an edge and workers over `make stack`, and show the whole way of a video."""
    if video is None and not CLIP.is_file():
        raise click.UsageError(
            f"{CLIP} is not there; `make clips` fetches it, or give --video FILE"
        )
    own = {"data_dir": str(data_dir), "workers": "1"} | stack_settings(Places(), "demo")
    with tempfile.TemporaryDirectory() as scratch:
        source = video or repeated(Path(scratch))
        try:
            with running(own, once) as urls:
                found = shown(own, urls, source)
                if not once and "error" not in found:
                    stay(urls[0], data_dir, found)
        except (NotStarted, SinkError) as problem:
            found = {"state": "ERROR", "error": {"code": "not_started", "text": str(problem)}}
        end(found, as_json, show)


@contextmanager
def running(own: Mapping[str, str], once: bool) -> Iterator[tuple[str, str]]:
    """Addresses of two gateways, while everything runs; it is ended whatever happens."""
    began_s = time.monotonic()
    given = settings_of(own)
    given.data_dir.mkdir(parents=True, exist_ok=True)
    make_keys(given)
    begun: list[Process] = []
    try:
        edge = Process.begin(["edge", "--port", "0"], own)
        begun.append(edge)
        made_ready(given)
        told(f"topics, tables and bucket are there after {time.monotonic() - began_s:.1f} s")
        for name in WORKERS:
            begun += [Process.begin(["worker", "all"], {**own, "worker_name": name})]
        own = {**own, "objects_url": edge.wait()}
        ports = ("0" if once else "8080", "0")
        gateways = [Process.begin(["gateway", "--port", port], own) for port in ports]
        begun += gateways
        first, second = (gateway.wait() for gateway in gateways)
        for process in begun:
            process.wait()
        told(f"everything is ready after {time.monotonic() - began_s:.1f} s: {first}, {second}")
        yield first, second
    finally:
        stop(begun)


def settings_of(own: Mapping[str, str]) -> Settings:
    environment = {PREFIX + name.upper(): value for name, value in own.items()}
    return read_settings(environment=environment)


def made_ready(given: Settings) -> None:
    """Raises ClickException, SinkError."""
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(make, given) for make in (apply_topics, migrate_tables, make_bucket)]
        for job in jobs:
            job.result()


def stop(begun: Sequence[Process]) -> None:
    """Asks all to finish what they have in hand; who does not is killed."""
    for process in begun:
        if process.running.poll() is None:
            process.running.send_signal(signal.SIGTERM)
    until_s = time.monotonic() + STOP_WITHIN_S
    for process in begun:
        try:
            process.running.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.running.kill()
            process.running.wait()


def shown(own: Mapping[str, str], urls: tuple[str, str], source: Path) -> Answer:
    try:
        return asyncio.run(whole_way(own, urls, source))
    except ApiError as problem:
        return {"state": "ERROR", "error": {"code": problem.code, "text": problem.text}}


async def whole_way(own: Mapping[str, str], urls: tuple[str, str], source: Path) -> Answer:
    """Upload by the first gateway, play and count by the second."""
    first, second = (settings_of({**own, "server": url}) for url in urls)
    async with Client(target(first, "creator")) as client:
        found = await uploaded(client, first, source)
    if "error" in found:
        return found
    async with Client(target(second, "creator")) as client:
        return await counted_view(client, found)


def stay(url: str, data_dir: Path, found: Answer) -> None:
    """Serves until it is interrupted."""
    show(found)
    studio = f"{url}/?token={token_of(data_dir, 'creator')}"
    console().print(f"\nStudio:   {studio}", highlight=False, soft_wrap=True)
    console().print(f"Watch it: [bold]{found['watch_url']}[/bold]   (Ctrl-C stops)")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        told("stopping")
