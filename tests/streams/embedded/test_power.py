"""Loss of power: what was acknowledged is there, and each transaction is there whole or not."""

import random
from pathlib import Path

import pytest

from millrace.schemas import codec
from millrace.streams import points
from millrace.streams.declarations import Topology
from millrace.streams.embedded.core import Core, Options
from millrace.streams.embedded.driver import START_MS
from millrace.streams.embedded.store import FILE_NAME, Store
from millrace.streams.embedded.submissions import Appending, Outside
from tests.streams.embedded.losing_disk import LosingDisk
from tests.streams.engine.mill import COUNTER, COUNTS, MILL_TOPICS, SACKS, make_sack

TRANSACTIONS = 25
FOLDS = (Topology("tallies", SACKS, (COUNTER,)),)


class Losses:
    """Loses power at a point of every transaction, and keeps what was acknowledged until then."""

    def __init__(self, disk: LosingDisk, folder: Path, point: str, luck: random.Random) -> None:
        self.disk = disk
        self.folder = folder
        self.point = point
        self.luck = luck
        self.acknowledged = 0
        self.after: list[tuple[Path, int]] = []

    def at(self, passed: str) -> None:
        if passed == self.point:
            image = self.folder / f"image-{len(self.after)}"
            self.disk.lose_power(image, self.luck)
            self.after.append((image, self.acknowledged))


@pytest.mark.parametrize("point", [points.BEFORE_COMMIT, points.AFTER_COMMIT])
@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_survives_a_loss_of_power(
    tmp_path: Path, point: str, seed: int
) -> None:
    disk = LosingDisk()
    losses = Losses(disk, tmp_path, point, random.Random(seed))
    options = Options(topics=MILL_TOPICS, partitions=1, now_ms=lambda: START_MS, at=losses.at)
    data = tmp_path / "data"
    data.mkdir()
    store = Store(data / FILE_NAME, disk.connect)
    core = Core(store, FOLDS, options)
    for number in range(TRANSACTIONS):
        event = make_sack("rye" * 50, number)
        value = codec.encode(event)
        fact = Outside(SACKS, SACKS.key(event), value, event, "", None, None)
        tx = core.begin()
        core.apply(tx, [Appending([fact], lambda answer: None)])
        core.fold(tx)
        core.commit(tx)
        losses.acknowledged += 1
    store.close()
    assert len(losses.after) == TRANSACTIONS
    for image, acknowledged in losses.after:
        # The commit itself had returned at the second point.
        wanted = acknowledged + (point == points.AFTER_COMMIT)
        check(image, wanted)


def check(image: Path, wanted: int) -> None:
    store = Store(image / FILE_NAME)
    core = Core(store, FOLDS, Options(topics=MILL_TOPICS, partitions=1))
    (sacks,), (counts,) = core.log.partitions[SACKS.name], core.log.partitions[COUNTS.name]
    # A write that was under way may have arrived whole; one that was said must have.
    assert sacks.end in (wanted, wanted + 1)
    assert counts.end == sacks.end
    assert core.tasks[0].inputs[0].position == sacks.end
    state = core.tasks[0].folds["counter"].current(("rye" * 50).encode())
    if sacks.end:
        assert state is not None
        assert state.state.size == 10 * sacks.end
    assert store.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()
