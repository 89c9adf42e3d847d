"""encoding: the join of chunks and rungs, proof against disorder, repeats and loss."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from millrace.processors.emit import Emit
from millrace.processors.media.failures import MediaFailed
from millrace.schemas import events as e
from millrace.schemas import topics as t
from millrace.schemas.envelope import Recorded
from millrace.streams.declarations import WorkPorts
from tests import fakes
from tests.builders import VIDEO
from tests.streams.world import World


def refusing(number: int, group: int, times: int = 3) -> Any:
    """An encoder that fails on one chunk and group so often."""
    left = [times]

    def tried(recorded: Recorded[Any], ports: WorkPorts) -> Iterator[Emit]:
        request = recorded.event
        if (request.range.number, request.rungs[0].group) == (number, group) and left[0]:
            left[0] -= 1
            raise MediaFailed("frames_differ", "the chunk shows other frames")
        yield from fakes.encode(recorded, ports)

    return tried


def test_every_chunk_and_group_is_asked_for_once_and_every_rung_completes_once() -> None:
    world = World()
    world.upload(seconds=40)
    asked = world.said(t.ENCODE_REQUESTS_NORMAL)
    assert len({(one.range.number, one.rungs[0].group) for one in asked}) == len(asked) == 14
    completed = world.said(t.RENDITIONS, e.RenditionCompleted)
    assert sorted(one.summary.rung for one in completed) == ["240p", "360p", "480p", "720p"]
    assert {one.summary.segments for one in completed} == {7}
    assert {one.summary.frames for one in completed} == {1000}
    assert {one.summary.duration_ms for one in completed} == {40_000}


def test_the_lowest_rung_of_every_chunk_is_asked_for_before_any_other() -> None:
    world = World()
    world.upload(seconds=40)
    groups = [one.rungs[0].group for one in world.said(t.ENCODE_REQUESTS_NORMAL)]
    assert groups == sorted(groups)


@pytest.mark.parametrize(("priority", "lane"), [("urgent", 0), ("normal", 1), ("backfill", 2)])
def test_each_priority_has_its_lane(priority: str, lane: int) -> None:
    world = World()
    world.upload(seconds=10, priority=priority)
    counts = [len(world.said(topic)) for topic in t.LANES.values()]
    assert [bool(count) for count in counts] == [place == lane for place in range(3)]


def test_completes_once_when_every_result_is_reported_twice_and_backwards() -> None:
    world = World()
    world.upload(seconds=40)
    for made in reversed(world.said(t.RENDITIONS, e.ChunkEncoded)):
        world.driver.pipe(t.RENDITIONS, made)
    world.driver.settle()
    assert len(world.said(t.RENDITIONS, e.RenditionCompleted)) == 4
    assert len(world.said(t.PUBLICATIONS, e.VideoPublished)) == 1


def test_a_rung_is_playable_only_without_a_hole() -> None:
    world = World()
    started = world.announce(seconds=40)
    world.finish(started)
    for _ in range(6):
        world.driver.transact()
    # The chunks in front are held back: what is behind them must not make the rung playable.
    held = []
    while (taken := world.driver.take()) is not None or world.driver.transact():
        if taken is None:
            continue
        request = taken.hand.record.recorded.event
        if isinstance(request, e.EncodeRequested) and request.range.number == 0:
            held.append(taken)
            continue
        while taken in world.driver.attempts:
            world.driver.advance_work(taken)
    assert len(world.said(t.RENDITIONS, e.ChunkEncoded)) >= 6
    assert not world.said(t.RENDITIONS, e.RenditionPlayable)
    for taken in held:
        while taken in world.driver.attempts:
            world.driver.advance_work(taken)
    world.driver.settle()
    assert len(world.said(t.RENDITIONS, e.RenditionPlayable)) == 4
    assert world.document()["complete"]


def test_a_chunk_that_fails_once_is_tried_again_and_only_it() -> None:
    world = World(encode=refusing(3, 1, times=1))
    world.upload()
    assert "failed tasks are tried again" not in str(world.waits())
    world.driver.advance(60_000)
    again = [one for one in world.said(t.ENCODE_REQUESTS_NORMAL) if one.attempt > 1]
    assert [(one.range.number, one.rungs[0].group, one.attempt) for one in again] == [(3, 1, 2)]
    assert world.document()["complete"]


def test_a_group_that_fails_for_good_is_dropped_and_the_rest_is_published() -> None:
    world = World(encode=refusing(3, 1))
    world.upload()
    world.driver.advance(60_000)
    document = world.document()
    assert document["complete"]
    assert [one["rung"] for one in document["renditions"]] == ["240p"]
    assert document["dropped"] == ["360p", "480p", "720p"]
    assert [letter.step for letter in world.said(t.DEAD_LETTERS)] == ["encode"]


def test_a_lowest_rung_that_fails_for_good_leaves_the_higher_ones() -> None:
    world = World(encode=refusing(3, 0))
    world.upload()
    world.driver.advance(60_000)
    document = world.document()
    assert [one["rung"] for one in document["renditions"]] == ["360p", "480p", "720p"]
    assert document["complete"]


def test_a_failure_of_an_earlier_attempt_changes_nothing() -> None:
    world = World(encode=refusing(3, 1, times=1))
    world.upload()
    (failure,) = world.said(t.RENDITIONS, e.EncodeFailed)
    world.driver.advance(60_000)
    for _ in range(3):
        world.driver.pipe(t.RENDITIONS, failure)
    world.driver.advance(60_000)
    assert len([one for one in world.said(t.ENCODE_REQUESTS_NORMAL) if one.attempt > 1]) == 1


def test_results_of_another_epoch_are_not_joined() -> None:
    world = World(encode=refusing(0, 0, times=99))
    world.upload(seconds=40)
    (plan,) = world.said(t.SOURCES, e.LadderPlanned)
    request = world.said(t.ENCODE_REQUESTS_NORMAL)[0]
    stale = fakes.encoded(request, "240p", plan.rungs[0].recipe, "worker-1")
    world.driver.pipe(t.RENDITIONS, replace(stale, epoch=7))
    world.driver.settle()
    state = world.driver.state("encoding", "encoding", VIDEO.encode())
    assert state is not None
    assert state.rungs["240p"].prefix.segments == 0


def test_results_that_come_after_a_deletion_are_deleted_too() -> None:
    world = World()
    world.upload()
    (made, *_) = world.said(t.RENDITIONS, e.ChunkEncoded)
    world.ask(e.DeleteRequested(VIDEO, "user"))
    before = len(world.said(t.DELETION_REQUESTS))
    world.driver.pipe(t.RENDITIONS, made)
    world.driver.settle()
    (late,) = world.said(t.DELETION_REQUESTS)[before:]
    assert late.prefixes == (f"videos/{VIDEO}/", f"made/{VIDEO}/")


def test_a_ready_video_whose_source_breaks_off_ends_where_its_lowest_rung_does() -> None:
    def first_two(recorded: Recorded[Any], ports: WorkPorts) -> Iterator[Emit]:
        if recorded.event.range.number > 2:
            raise MediaFailed("chunk_unreadable", "no frame in it")
        yield from fakes.encode(recorded, ports)

    world = World(encode=first_two)
    world.upload(seconds=40)
    assert world.document()["state"] == "READY"
    world.driver.advance(60_000)
    document = world.document()
    assert (document["state"], document["complete"]) == ("READY", True)
    (left,) = document["renditions"]
    assert (left["rung"], left["segments"], left["frames"]) == ("240p", 3, 450)
    assert document["dropped"] == ["240p", "360p", "480p", "720p"]
    assert world.said(t.PACKAGE_REQUESTS)[-1].video
    assert world.waits() == {}


def test_a_cut_that_is_given_up_after_ready_leaves_what_was_cut() -> None:
    def breaks_off(recorded: Recorded[Any], ports: WorkPorts) -> Iterator[Emit]:
        for emit in fakes.cut(recorded, ports):
            if isinstance(emit.event, e.ChunkCut) and emit.event.range.number == 3:
                raise MediaFailed("cut_failed", "FFmpegError at cut.py:1")
            yield emit

    world = World(cut=breaks_off)
    world.upload(seconds=40)
    world.driver.advance(60_000)
    document = world.document()
    assert (document["state"], document["complete"]) == ("READY", True)
    assert document["renditions"][0]["segments"] == 3
    assert world.waits() == {}


def test_what_a_creator_is_told_is_a_sentence_and_no_trace() -> None:
    def bug(recorded: Recorded[Any], ports: WorkPorts) -> Iterator[Emit]:
        raise KeyError("at_ms")
        yield

    world = World(encode=bug)
    world.upload()
    world.driver.advance(60_000)
    document = world.document()
    assert (document["state"], document["error_code"]) == ("FAILED", "bug")
    assert "KeyError" not in document["error_text"]
    assert "retry" in document["error_text"]
    assert "KeyError" in world.said(t.DEAD_LETTERS)[0].reason


def test_the_state_of_a_long_video_whose_first_chunk_is_last_stays_small() -> None:
    sizes = []

    def held_back(recorded: Recorded[Any], ports: WorkPorts) -> Iterator[Emit]:
        if recorded.event.range.number == 0 and recorded.event.attempt == 1:
            raise MediaFailed("chunk_unreadable", "not yet")
        yield from fakes.encode(recorded, ports)

    world = World(encode=held_back)
    world.upload(seconds=3 * 3_600)
    for topology in ("encoding", "publishing"):
        state = world.driver.state(topology, topology, VIDEO.encode())
        sizes.append(len(msgspec.msgpack.encode(state)))
    # A quarter of the twelve hours that are accepted takes less than a quarter of the 64 KB.
    assert max(sizes) < 16_384
    world.driver.advance(60_000)
    (done,) = (
        one for one in world.said(t.RENDITIONS, e.RenditionCompleted) if one.summary.rung == "240p"
    )
    assert (done.summary.segments, len(done.rendition.runs)) == (1_800, 1)
    assert world.document()["complete"]


def test_a_video_that_fails_everywhere_is_given_up_before_its_state_is_too_large() -> None:
    def never(recorded: Recorded[Any], ports: WorkPorts) -> Iterator[Emit]:
        raise MediaFailed("encode_failed", "no room")
        yield

    world = World(encode=never)
    world.upload(seconds=6 * 3_600)
    document = world.document()
    assert (document["state"], document["error_code"]) == ("FAILED", "encoding_failing")
    assert not [letter for letter in world.said(t.DEAD_LETTERS) if letter.kind == "parked"]


def test_chunks_that_are_cut_after_a_cancel_are_deleted_too() -> None:
    world = World(encode=refusing(0, 0, times=99))
    world.upload()
    (chunk, *_) = world.said(t.SOURCES, e.ChunkCut)
    world.ask(e.CancelRequested(VIDEO, "user"))
    before = len(world.said(t.DELETION_REQUESTS))
    world.driver.pipe(t.SOURCES, replace(chunk, range=replace(chunk.range, number=99)))
    world.driver.settle()
    assert len(world.said(t.DELETION_REQUESTS)) == before + 1
