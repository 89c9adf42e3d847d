"""All topologies on the engine in memory, with works that make nothing: a video's way in a line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from millrace.processors.media.probe import Limits
from millrace.schemas import events as e
from millrace.schemas import topics as t
from millrace.sinks import tables
from millrace.sinks.ports import Objects
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.streams.declarations import Topology, Work, WorkPorts
from millrace.streams.embedded.driver import Driver
from millrace.streams.topologies import TOPOLOGIES
from tests.builders import DAY_MS, UPLOAD, VIDEO, make_upload_started
from tests.fakes import BYTES_A_SECOND, faked, notification

Do = Callable[..., Any]


def with_do(topologies: tuple[Topology, ...], name: str, do: Do) -> tuple[Topology, ...]:
    """The same topologies, one work of which does something else."""

    def changed(step: Any) -> Any:
        return replace(step, do=do) if isinstance(step, Work) and step.name == name else step

    return tuple(replace(one, steps=tuple(map(changed, one.steps))) for one in topologies)


def with_slots(topologies: tuple[Topology, ...], **slots: int) -> tuple[Topology, ...]:
    """The same topologies, with works named that may hold so many slots at once."""

    def changed(step: Any) -> Any:
        if isinstance(step, Work) and step.name in slots:
            return replace(step, slots=slots[step.name])
        return step

    return tuple(replace(one, steps=tuple(map(changed, one.steps))) for one in topologies)


class World:
    """A driver over every topology, and what tests ask of it."""

    def __init__(self, objects: Objects | None = None, **does: Do) -> None:
        self.objects = objects
        self.tables = SqliteTables(None, lambda: 0)
        self.tables.create(tables.TABLES)
        topologies = faked(TOPOLOGIES)
        for name, do in does.items():
            topologies = with_do(topologies, name, do)
        self.driver = Driver(topologies, tables=self.tables, ports=self.ports)

    def ports(self) -> WorkPorts:
        """Fake works touch nothing but the tables; a test of others hands objects in."""
        return WorkPorts(
            objects=self.objects,  # type: ignore[arg-type]
            tables=self.tables,
            scratch=Path("nowhere"),
            worker="worker-1",
            limits=Limits(),
            point=lambda _point: None,
        )

    def announce(self, seconds: int = 40, video: str = VIDEO, **overrides: Any) -> e.UploadStarted:
        started = make_upload_started(
            video_id=video,
            size_bytes=seconds * BYTES_A_SECOND,
            object_key=f"originals/{video}/{UPLOAD}",
            expires_at_ms=self.driver.clock.now_ms + DAY_MS,
        )
        started = replace(started, **overrides)
        self.driver.pipe(t.UPLOADS, started)
        self.driver.settle()
        return started

    def finish(self, started: e.UploadStarted, **overrides: Any) -> None:
        finished = e.UploadFinished(
            started.video_id, started.upload_id, started.object_key, started.size_bytes, "etag"
        )
        self.driver.pipe(t.UPLOADS, replace(finished, **overrides))

    def notify(self, started: e.UploadStarted) -> None:
        body = notification(started.object_key, started.size_bytes)
        self.driver.pipe_bytes(t.OBJECT_NOTIFICATIONS, started.object_key.encode(), body)

    def upload(self, seconds: int = 40, **overrides: Any) -> e.UploadStarted:
        """Announced, finished, and carried as far as it goes."""
        started = self.announce(seconds, **overrides)
        self.finish(started)
        self.driver.settle()
        return started

    def ask(self, command: e.Event) -> list[e.Event]:
        """A command and what answers it."""
        asked = self.driver.pipe(t.COMMANDS, command)
        self.driver.settle()
        found = self.driver.read(t.PUBLICATIONS)
        return [recorded.event for recorded in found if recorded.cause == asked.id]

    def said(self, topic: t.Topic, *kinds: type[e.Event]) -> list[Any]:
        return [one for one in self.driver.events(topic) if not kinds or isinstance(one, kinds)]

    def names(self, topic: t.Topic) -> list[str]:
        return [type(one).__name__ for one in self.driver.events(topic)]

    def document(self, video: str = VIDEO) -> dict[str, Any]:
        row = self.tables.get(tables.VIDEOS, (video,))
        assert row is not None
        found: dict[str, Any] = row.values["document"]
        return found

    def waits(self, video: str = VIDEO) -> dict[str, str]:
        """What each step waits for, by topology."""
        page = self.tables.page(tables.WAITING, (video,))
        return {row.values["topology"]: row.values["waits_for"] for row in page.rows}
