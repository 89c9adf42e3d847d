"""catalog: one document a video, whole at every change, and the rows made from it."""

from millrace.schemas import events as e
from millrace.schemas import topics as t
from millrace.sinks import tables
from tests.builders import VIDEO
from tests.streams.world import World


def listed(world: World) -> list[str]:
    page = world.tables.page(tables.PUBLIC_VIDEOS, ("public",))
    return [row.values["video_id"] for row in page.rows]


def mine(world: World) -> list[str]:
    page = world.tables.page(tables.CREATOR_VIDEOS, ("creator",))
    return [row.values["video_id"] for row in page.rows]


def test_a_document_holds_what_is_known_from_the_first_event_on() -> None:
    world = World()
    world.announce(title="A film", tags=("one", "two"))
    document = world.document()
    assert (document["state"], document["title"]) == ("UPLOADING", "A film")
    assert document["tags"] == ["one", "two"]
    assert (document["duration_ms"], document["complete"]) == (0, False)


def test_a_published_document_says_what_was_made_and_when() -> None:
    world = World()
    world.upload(seconds=40)
    document = world.document()
    assert (document["duration_ms"], document["frames"]) == (40_000, 1_000)
    assert (document["width"], document["height"]) == (1280, 720)
    assert document["poster_key"].startswith("images/")
    assert [one["rendition"] for one in document["audio"]] == ["audio-128"]
    times = [document[f"{name}_at_ms"] for name in ("created", "stored", "playable", "published")]
    assert times == sorted(times)
    assert 0 not in times


def test_a_video_is_listed_while_it_is_public_and_ready() -> None:
    world = World()
    started = world.announce()
    assert listed(world) == []
    world.finish(started)
    world.driver.settle()
    assert listed(world) == [VIDEO]
    world.ask(e.EditRequested(VIDEO, "user", visibility="unlisted"))
    assert listed(world) == []
    world.ask(e.EditRequested(VIDEO, "user", visibility="public"))
    assert listed(world) == [VIDEO]
    world.ask(e.BlockRequested(VIDEO, "moderator", "a reason"))
    assert listed(world) == []


def test_a_deleted_video_leaves_every_list_and_keeps_its_document() -> None:
    world = World()
    world.upload()
    assert mine(world) == [VIDEO]
    world.ask(e.DeleteRequested(VIDEO, "user"))
    assert (listed(world), mine(world)) == ([], [])
    assert world.document()["state"] == "DELETED"


def test_a_document_says_which_records_it_reflects() -> None:
    world = World()
    world.upload()
    asked = world.driver.pipe(t.COMMANDS, e.EditRequested(VIDEO, "user", title="Another"))
    world.driver.settle()
    (fact,) = [r for r in world.driver.read(t.PUBLICATIONS) if r.cause == asked.id]
    places = {one["topic"]: one["offset"] for one in world.document()["positions"]}
    assert places["publications"] >= fact.offset


def test_rows_that_come_again_change_nothing() -> None:
    world = World()
    world.upload()
    before = {table.name: world.tables.digest(table) for table in tables.TABLES}
    world.driver.reopen()
    world.driver.settle()
    assert {table.name: world.tables.digest(table) for table in tables.TABLES} == before
