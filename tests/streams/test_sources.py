"""sources: probe, plan, cut, sound, poster; retries decided here."""

from collections.abc import Iterator
from typing import Any

from millrace.processors.emit import Emit
from millrace.processors.media.failures import MediaFailed
from millrace.schemas import events as e
from millrace.schemas import topics as t
from millrace.schemas.envelope import Recorded
from millrace.streams.declarations import WorkPorts
from tests import fakes
from tests.builders import VIDEO
from tests.streams.world import World


def failing(do: Any, times: int) -> Any:
    """A work that fails so often before it does what it should."""
    left = [times]

    def tried(recorded: Recorded[Any], ports: WorkPorts) -> Iterator[Emit]:
        if left[0]:
            left[0] -= 1
            raise MediaFailed("broken", "the worker fell over")
        yield from do(recorded, ports)

    return tried


def test_a_source_is_probed_planned_and_cut_once() -> None:
    world = World()
    world.upload(seconds=40)
    (plan,) = world.said(t.SOURCES, e.LadderPlanned)
    assert [rung.name for rung in plan.rungs] == ["240p", "360p", "480p", "720p"]
    assert [rung.group for rung in plan.rungs] == [0, 1, 1, 1]
    assert world.names(t.SOURCE_REQUESTS) == ["ProbeRequested", "CutRequested", "AudioRequested"]


def test_a_short_video_has_one_group() -> None:
    world = World()
    world.upload(seconds=10)
    (plan,) = world.said(t.SOURCES, e.LadderPlanned)
    assert {rung.group for rung in plan.rungs} == {0}
    assert world.document()["complete"]


def test_a_refused_source_fails_with_the_probes_own_words() -> None:
    world = World()
    world.upload(seconds=0, size_bytes=fakes.BAD_SIZE_BYTES)
    document = world.document()
    assert (document["state"], document["error_code"]) == ("FAILED", "not_media")
    assert not world.said(t.SOURCE_REQUESTS, e.CutRequested)


def test_a_cut_that_fails_twice_is_tried_again_after_longer_delays() -> None:
    world = World(cut=failing(fakes.cut, 2))
    world.upload()
    begun_ms = world.driver.clock.now_ms
    assert world.waits()["sources"] == "cut"
    world.driver.advance(1_000)
    assert len(world.said(t.SOURCE_REQUESTS, e.CutRequested)) == 1
    world.driver.advance(60_000)
    attempts = [one.attempt for one in world.said(t.SOURCE_REQUESTS, e.CutRequested)]
    assert attempts == [1, 2, 3]
    timers = [one.at_ms - begun_ms for one in world.said(t.TIMERS, e.DeadlinePassed)][:2]
    assert 1_500 <= timers[0] <= 2_500
    assert 6_000 <= timers[1] - timers[0] <= 10_000
    assert world.document()["complete"]


def test_a_third_failure_is_a_dead_letter_and_a_failed_video_that_may_be_retried() -> None:
    world = World(audio=failing(fakes.audio, 3))
    world.upload()
    world.driver.advance(60_000)
    document = world.document()
    assert (document["state"], document["error_code"]) == ("FAILED", "broken")
    (letter,) = world.said(t.DEAD_LETTERS)
    assert (letter.kind, letter.topology, letter.step) == ("work", "sources", "audio")
    world.ask(e.RetryRequested(VIDEO, "user"))
    assert world.document()["complete"]
    assert world.document()["epoch"] == 2


def test_a_poster_that_fails_is_not_worth_a_video() -> None:
    world = World(poster=failing(fakes.poster, 9))
    world.upload()
    world.driver.advance(60_000)
    document = world.document()
    assert document["complete"]
    assert document["poster_key"] == ""
    assert world.waits() == {}


def test_a_failure_reported_twice_is_one_retry() -> None:
    world = World(cut=failing(fakes.cut, 1))
    world.upload()
    (failure,) = world.said(t.SOURCES, e.SourceStepFailed)
    world.driver.pipe(t.SOURCES, failure)
    world.driver.advance(60_000)
    assert len(world.said(t.SOURCE_REQUESTS, e.CutRequested)) == 2


def test_a_video_that_ended_before_its_original_was_read_is_not_worked_on() -> None:
    world = World()
    started = world.announce()
    world.driver.pipe(t.COMMANDS, e.DeleteRequested(VIDEO, "user"))
    world.finish(started)
    world.driver.settle()
    assert world.document()["state"] == "DELETED"
    assert world.waits() == {}
    assert not world.said(t.SOURCE_REQUESTS, e.CutRequested)
