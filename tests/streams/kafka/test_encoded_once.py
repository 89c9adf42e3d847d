"""A chunk whose worker died after its last result is asked for again, and encoded once."""

import asyncio
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from millrace.processors.media.probe import Limits
from millrace.schemas import ids
from millrace.schemas.events import ChunkEncoded, EncodeRequested
from millrace.schemas.topics import ENCODE_REQUESTS_URGENT, RENDITIONS
from millrace.sinks.directory_objects import DirectoryObjects
from millrace.sinks.signing import Signer, SigningKeys
from millrace.streams import points
from millrace.streams.declarations import WorkPorts
from millrace.streams.encoding import ENCODING_TOPOLOGY
from millrace.streams.kafka.app import Membership
from millrace.streams.kafka.work import WorkOptions
from millrace.streams.kafka.workers import Common, LaneWorker
from millrace.streams.outputs import digest_of
from tests.media.pictures import (
    gray_number,
    make_chunk,
    make_grid,
    make_range,
    make_rung,
    make_track,
)
from tests.stack.servers import SharedServer
from tests.streams.kafka.site import Site, running, site_of, until

pytestmark = pytest.mark.slow
KEY = "chunks/u/g/0"
FRAMES = 25


def store(folder: Path) -> DirectoryObjects:
    signer = Signer(SigningKeys("one", {"one": b"0" * 32}), "http://nowhere", lambda: 0)
    return DirectoryObjects(folder / "store", signer, lambda: 0)


@dataclass(frozen=True, slots=True)
class Ports:
    """A directory for a store, and a file with a mark for each chunk that was encoded."""

    folder: Path

    def __call__(self, scratch: Path, worker: str) -> WorkPorts:
        nothing = cast("Any", None)
        return WorkPorts(store(self.folder), nothing, scratch, worker, Limits(), self.point)

    def point(self, name: str) -> None:
        with (self.folder / "points").open("a") as told:
            told.write(name + "\n")


class Died(Exception):
    """Takes the place of a kill, in this process."""


def die(point: str) -> None:
    if point == points.WORK_BEFORE_DONE:
        raise Died


def worker_of(site: Site, folder: Path, **options: Any) -> LaneWorker:
    steps = tuple(replace(work, still_wanted=None) for work in ENCODING_TOPOLOGY.works)
    common = Common(
        site.cluster,
        topics=site.topics,
        membership=Membership("encoder", 1.0),
        options=WorkOptions(**options),
    )
    topology = replace(ENCODING_TOPOLOGY, steps=steps)
    scratch = folder / "scratch"
    return LaneWorker(common, ENCODE_REQUESTS_URGENT, [topology], Ports(folder), 1, scratch)


def request_for(chunk: Path) -> EncodeRequested:
    track = make_track()
    shown = make_range(0, FRAMES, hi_pts=None)
    rungs = (make_rung("108p"), make_rung("54p", size=(96, 54)))
    digest = digest_of(chunk)
    return EncodeRequested(
        "v", "u", 1, 1, "urgent", KEY, digest, track, make_grid(track), shown, rungs
    )


async def test_a_request_whose_results_stand_on_the_log_is_answered_again_without_encoding(
    kafka: SharedServer, tmp_path: Path
) -> None:
    pictures = [(number, gray_number(number)) for number in range(FRAMES)]
    chunk = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25))
    request = request_for(chunk)
    store(tmp_path).put_file(KEY, chunk)
    async with site_of(kafka.address, [ENCODE_REQUESTS_URGENT, RENDITIONS]) as site:
        ((_, _, _, id_),) = await site.append(ENCODE_REQUESTS_URGENT, request)
        with pytest.raises(Died):
            await worker_of(site, tmp_path, at=die).run(asyncio.Event())
        assert await site.committed(ENCODE_REQUESTS_URGENT.name, ENCODE_REQUESTS_URGENT) == {}
        async with running(worker_of(site, tmp_path)):
            await until(lambda: is_done(site))
        records = await site.records(RENDITIONS)
    made = [record for record in records if isinstance(record.recorded.event, ChunkEncoded)]
    said = [(record.recorded.event.rung, record.recorded.event.reused) for record in made]
    assert said == [("108p", False), ("54p", False), ("108p", True), ("54p", True)]
    assert [record.id for record in made] == 2 * [ids.caused("encode", id_, n) for n in (1, 2)]
    assert (tmp_path / "points").read_text().split().count("encode.begin") == 1


async def is_done(site: Site) -> bool:
    name = ENCODE_REQUESTS_URGENT.name
    return await site.committed(name, ENCODE_REQUESTS_URGENT) == {0: 1}
