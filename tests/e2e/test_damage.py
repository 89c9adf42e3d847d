"""Damage is found and named (RPL-1, RPL-8).

Rows that are not what the log says, and objects that are not what was stored.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.servers import Answer, RunningMillrace, ServerFactory
from tests.e2e.stored import blobs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def published(
    running_millrace: RunningMillrace, numbered_video: Answer
) -> tuple[RunningMillrace, str]:
    return running_millrace, numbered_video.json["video_id"]


def test_rebuilt_tables_are_the_live_ones(published: tuple[RunningMillrace, str]) -> None:
    server, _ = published
    found = server.run("rebuild", "all", "--verify")
    assert found.status == 0, found.text
    assert found.json["differences"] == []
    rows = {one["table"]: one["rows"] for one in found.json["tables"]}
    assert rows["videos"] >= 1
    assert rows["segments"] >= 6
    assert server.run("rebuild", "nothing", "--verify").json["error"]["code"] == "senseless"


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE progress SET size_bytes = size_bytes + 1 WHERE video_id = ?", "progress"),
        ("UPDATE videos SET document = json_set(document, '$.title', 'x') WHERE video_id = ?",
         "videos"),
        ("DELETE FROM history WHERE video_id = ?", "history"),
    ],
)  # fmt: skip
def test_a_row_that_was_tampered_with_is_named(
    published: tuple[RunningMillrace, str], statement: str, table: str
) -> None:
    server, video_id = published
    place = server.data_dir / "tables.sqlite"
    with closing(sqlite3.connect(place, timeout=30)) as tables:
        before = tables.execute(f"SELECT * FROM {table} WHERE video_id = ?", (video_id,)).fetchall()
        with tables:
            assert tables.execute(statement, (video_id,)).rowcount >= 1
        try:
            found = server.run("rebuild", "all", "--verify")
        finally:
            marks = ", ".join("?" * len(before[0]))
            with tables:
                tables.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", before)
    assert found.status == 1
    assert found.json["error"]["code"] == "rows_differ"
    assert {one["table"] for one in found.json["differences"]} == {table}
    assert all(video_id in one["key"] for one in found.json["differences"])
    assert server.run("rebuild", table, "--verify").status == 0


def test_objects_that_are_gone_or_altered_are_named(
    server_factory: ServerFactory, numbered: Path
) -> None:
    server = server_factory()
    server.start()
    video_id = server.run("upload", numbered).json["video_id"]
    clean = server.run("fsck")
    assert clean.status == 0, clean.text
    # Original, poster, two playlists, and of two rungs and a sound the init and three segments;
    # the playlist of what was playable early may be one more.
    assert clean.json["checked"] >= 4 + 3 * 4
    assert clean.json["orphans"] == []

    files = blobs(server, video_id)
    segments = sorted(key for key in files if key.endswith(".m4s"))
    gone, altered = segments[0], segments[1]
    files[gone].unlink()
    flip_last_bit(files[altered])
    original = next(key for key in files if key.startswith("originals/"))
    flip_last_bit(files[original])

    found = server.run("fsck")
    assert found.status == 1
    assert found.json["error"]["code"] == "objects_damaged"
    assert found.json["checked"] == clean.json["checked"] - 3
    assert found.json["missing"] == [gone]
    assert found.json["altered"] == sorted([altered, original])


def flip_last_bit(path: Path) -> None:
    """As a disk would: size and name stay."""
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(body)
