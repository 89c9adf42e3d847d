"""Projections made again from the log and compared: what is different, and what only looks so."""

from typing import Any

from millrace.deploy.log_pages import PAGE
from millrace.deploy.rebuild import CaughtUp, rebuild
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import ProfileEdited
from millrace.schemas.topics import PROFILES as PROFILES_TOPIC
from millrace.sinks.ports import Row
from millrace.sinks.sqlite_tables import SqliteTables
from millrace.sinks.tables import PROFILES
from millrace.streams import rows
from millrace.streams.declarations import Project
from tests.gateway.memory_log import PARTITIONS, MemoryLog


def now_ms() -> int:
    return 1_800_000_000_000


def profile_rows(recorded: Recorded[Any]) -> list[Row]:
    """As the real one; `explode` is a bug of it, `misshapen` a row that no table takes."""
    if recorded.event.name == "explode":
        raise KeyError("a bug")
    found = rows.profiles(recorded)
    if recorded.event.name == "misshapen":
        return [Row({**row.values, "avatar_url": 7}, row.version, row.at_ms) for row in found]
    return found


PROJECT = Project("profile-rows", PROFILES_TOPIC, PROFILES, profile_rows)


async def at_once(*_: object) -> bool:
    return True


class Site:
    """A log of profiles and live rows, which `follow` makes as the engine would."""

    def __init__(self) -> None:
        self.live = SqliteTables(None, now_ms)
        self.live.create([PROFILES])
        self.log = MemoryLog(self.live, now_ms)
        self.log.held = True

    async def edit(self, *names: str) -> None:
        for number, name in enumerate(names):
            await self.log.append("profiles", ProfileEdited(f"user-{number}", name, ""))

    def follow(self) -> None:
        for (topic, _), records in self.log.records.items():
            assert topic == "profiles"
            for record in records:
                if record.event.name not in ("explode", "misshapen"):
                    self.live.upsert(PROFILES, profile_rows(record))

    async def rebuild(self, caught_up: CaughtUp = at_once) -> Any:
        def fresh() -> SqliteTables:
            return SqliteTables(None, now_ms)

        return await rebuild([PROJECT], self.log, self.live, fresh, PARTITIONS, caught_up)


async def test_what_the_live_projection_passed_over_is_no_difference() -> None:
    site = Site()
    await site.edit("ann", "explode", "misshapen", "ben")
    site.follow()
    report = await site.rebuild()
    assert report["differences"] == []
    assert report["tables"] == [{"table": "profiles", "rows": 2, "different": 0, "passed_over": 2}]


async def test_rows_that_are_still_to_come_are_no_difference() -> None:
    site = Site()
    await site.edit("ann", "ben")
    looks = 0

    async def caught_up(*_: object) -> bool:
        nonlocal looks
        looks += 1
        if looks == 3:
            site.follow()
        return looks >= 3

    assert (await site.rebuild(caught_up))["differences"] == []


async def test_a_row_that_the_log_does_not_say_is_named() -> None:
    site = Site()
    await site.edit("ann", "ben")
    site.follow()
    (row, *_) = site.live.scan(PROFILES)
    forge(site.live, row)
    (difference,) = (await site.rebuild())["differences"]
    assert difference["key"] == [row.values["user_id"]]
    assert difference["live"]["values"]["name"] == "forged"


def forge(tables: SqliteTables, row: Row) -> None:
    version = row.version._replace(offset=row.version.offset + 1)
    tables.upsert(PROFILES, [Row({**row.values, "name": "forged"}, version, row.at_ms)])


async def test_a_page_that_nobody_can_read_is_not_the_end_of_the_log() -> None:
    site = Site()
    edits = [ProfileEdited("ann", f"name {n}", "") for n in range(PAGE + 5)]
    for edit in edits:
        await site.log.append("profiles", edit)
    ((place, records),) = site.log.records.items()
    site.live.upsert(PROFILES, profile_rows(records[-1]))
    site.log.unreadable = {(*place, record.offset) for record in records[:PAGE]}
    report = await site.rebuild()
    assert (report["differences"], report["tables"][0]["rows"]) == ([], 1)
