"""views: each session is decided once, each view counted once, exactly (CNT-2, CNT-3)."""

from dataclasses import replace

from millrace.processors import views
from millrace.schemas import events as e
from millrace.schemas import topics as t
from millrace.sinks import tables
from tests.builders import DAY_MS, VIDEO
from tests.streams.world import World

IDLE_MS = views.SESSION_IDLE_MS


def make_client_event(world: World, **overrides: object) -> e.ClientEvent:
    event = e.ClientEvent(
        event_id="1",
        video_id=VIDEO,
        viewer_id="viewer",
        session_id="session",
        kind="progress",
        position_ms=0,
        watched_ms=0,
        client_at_ms=world.driver.clock.now_ms,
        duration_ms=600_000,
    )
    return replace(event, **overrides)  # type: ignore[arg-type]


def play(world: World, *events: e.ClientEvent) -> None:
    world.driver.pipe(t.PLAYBACK_EVENTS, e.PlaybackReported(events))
    world.driver.settle()


def totals(world: World) -> tuple[int, int, int]:
    rows = world.tables.page(tables.VIEW_HOURS, (VIDEO,)).rows
    return tuple(sum(row.values[name] for row in rows) for name in ("counted", "rejected", "late"))


def test_a_view_is_counted_within_seconds_of_the_thirtieth_second() -> None:
    world = World()
    play(world, make_client_event(world, watched_ms=29_999))
    world.driver.advance(2_000)
    assert totals(world) == (0, 0, 0)
    play(world, make_client_event(world, event_id="2", watched_ms=30_000))
    world.driver.advance(2_000)
    assert totals(world) == (1, 0, 0)


def test_half_of_a_short_video_is_enough() -> None:
    world = World()
    play(world, make_client_event(world, watched_ms=5_000, duration_ms=10_000))
    world.driver.advance(2_000)
    assert totals(world) == (1, 0, 0)


def test_repeated_and_disordered_events_count_once() -> None:
    world = World()
    events = [
        make_client_event(world, event_id=str(n), watched_ms=n * 10_000) for n in (5, 1, 4, 2, 3)
    ]
    for event in [*events, *reversed(events)]:
        play(world, event)
    world.driver.advance(2 * IDLE_MS)
    assert totals(world) == (1, 0, 0)


def test_a_session_that_ends_too_short_is_rejected_with_the_reason() -> None:
    world = World()
    play(world, make_client_event(world, watched_ms=3_000))
    world.driver.advance(IDLE_MS + 2_000)
    assert totals(world) == (0, 1, 0)
    (rejected,) = world.said(t.VIEWS)
    assert rejected.reason == "too_short"


def test_a_second_session_within_a_day_is_rejected_and_one_after_it_is_counted() -> None:
    world = World()
    play(world, make_client_event(world, watched_ms=40_000))
    world.driver.advance(DAY_MS // 2)
    play(world, make_client_event(world, session_id="again", watched_ms=40_000))
    world.driver.advance(DAY_MS // 2 + 1)
    play(world, make_client_event(world, session_id="next day", watched_ms=40_000))
    world.driver.advance(IDLE_MS)
    decided = {one.session_id: type(one).__name__ for one in world.said(t.VIEWS)}
    assert decided == {
        "session": "ViewCounted",
        "again": "ViewRejected",
        "next day": "ViewCounted",
    }
    assert totals(world) == (2, 1, 0)


def test_viewers_and_videos_do_not_share_a_window() -> None:
    world = World()
    for viewer in ("one", "two", "three"):
        play(world, make_client_event(world, viewer_id=viewer, watched_ms=40_000))
    world.driver.advance(2_000)
    assert totals(world) == (3, 0, 0)


def test_an_event_after_the_end_of_its_session_is_counted_apart_and_once() -> None:
    world = World()
    play(world, make_client_event(world, watched_ms=40_000))
    world.driver.advance(IDLE_MS + 2_000)
    late = make_client_event(world, event_id="late", watched_ms=90_000)
    play(world, late)
    play(world, late)
    play(world, make_client_event(world, watched_ms=40_000))
    world.driver.advance(2_000)
    assert totals(world) == (1, 0, 1)


def test_the_database_sees_one_write_a_flush_and_not_one_a_view() -> None:
    world = World()
    for number in range(200):
        play(world, make_client_event(world, viewer_id=f"viewer {number}", watched_ms=40_000))
    world.driver.advance(2_000)
    assert totals(world) == (200, 0, 0)
    assert len(world.said(t.VIEW_TOTALS)) <= views.SHARDS


def test_a_viewer_is_forgotten_when_the_window_is_over() -> None:
    world = World()
    play(world, make_client_event(world, watched_ms=40_000))
    world.driver.advance(9 * DAY_MS)
    assert world.driver.state("views", "views", f"{VIDEO}/viewer".encode()) is None


def test_views_count_in_the_hour_in_which_the_session_began() -> None:
    world = World()
    hour_ms = world.driver.clock.now_ms - world.driver.clock.now_ms % views.HOUR_MS
    play(world, make_client_event(world, watched_ms=1_000))
    world.driver.advance(20 * 60_000)
    play(world, make_client_event(world, event_id="2", watched_ms=31_000))
    world.driver.advance(2_000)
    (counted,) = world.said(t.VIEWS)
    assert counted.hour_ms == hour_ms


def test_a_viewer_with_endless_sessions_is_decided_and_stays_small() -> None:
    world = World()
    for number in range(3 * views.SESSIONS_MAX):
        events = [
            make_client_event(world, event_id=f"{n}", session_id=f"{number}", watched_ms=n)
            for n in range(views.EVENTS_MAX)
        ]
        play(world, *events)
    world.driver.advance(2 * DAY_MS)
    assert len(world.said(t.VIEWS, e.ViewRejected)) == 3 * views.SESSIONS_MAX
    assert not world.said(t.DEAD_LETTERS)


def test_late_reports_of_other_days_do_not_reopen_the_window_of_this_one() -> None:
    world = World()
    now_ms = world.driver.clock.now_ms
    for number, start_ms in enumerate([0, -25 * 3_600_000, 0, -25 * 3_600_000, 0]):
        event = make_client_event(
            world,
            event_id=str(number),
            session_id=str(number),
            client_at_ms=now_ms + start_ms,
            watched_ms=40_000,
        )
        play(world, event)
    assert len(world.said(t.VIEWS, e.ViewCounted)) == 2


def test_a_session_forgotten_for_room_is_not_decided_twice() -> None:
    world = World()
    for number in range(views.SESSIONS_MAX + 1):
        play(world, make_client_event(world, session_id=f"{number}", watched_ms=1_000))
        world.driver.advance(1_000)
    play(world, make_client_event(world, event_id="2", session_id="0", watched_ms=40_000))
    world.driver.advance(DAY_MS)
    decided = [one.session_id for one in world.said(t.VIEWS, e.ViewCounted, e.ViewRejected)]
    assert len(decided) == len(set(decided)) == views.SESSIONS_MAX + 1
    assert len(world.said(t.VIEWS, e.LateView)) == 1
