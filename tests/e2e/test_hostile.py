"""What can't be a video fails with a code and a sentence, and nobody else notices (ING-8)."""

import random
import struct
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest

from tests.e2e.servers import ServerFactory, finished
from tests.e2e.stored import read_object
from tests.media.clips import FAST, MS, Clip, constant, make

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
FAILED_WITHIN_MS = 60_000


def written(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


def zipped(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("video.mp4", b"nothing" * 1000)
    return path


def lying(body: bytes) -> bytes:
    """The same file with a header that promises ten hours."""
    at = body.index(b"mvhd") + 20
    return body[:at] + struct.pack(">I", 1000 * 36_000) + body[at + 4 :]


@pytest.fixture(scope="module")
def hostile(numbered: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, set[str]]:
    """Files, with the codes that each may be refused by."""
    folder = tmp_path_factory.mktemp("hostile")
    good = numbered.read_bytes()
    huge = Clip("huge.mp4", range(2), Fraction(1, 25), size=(8192, 8192), options=FAST)
    fast = Clip("fast.mkv", range(3000), MS, rate=Fraction(1000), gop=250)
    return {
        written(folder / "empty.mp4", b""): {"empty_file"},
        written(folder / "text.mp4", b"Dear diary, this is no video.\n" * 1000): {"not_a_video"},
        zipped(folder / "zip.mp4"): {"not_a_video"},
        written(folder / "random.mp4", random.Random(1).randbytes(1_000_000)): {"not_a_video"},
        written(folder / "headless.mp4", good[len(good) // 3 :]): {"not_a_video"},
        written(folder / "tailless.mp4", good[: len(good) // 2]): {"not_a_video", "truncated"},
        written(folder / "lying.mp4", lying(good)): {"truncated"},
        make(huge, folder): {"frame_too_large"},
        make(fast, folder): {"frame_rate_too_high"},
    }


def test_hostile_files_fail_with_a_sentence_and_their_neighbour_is_published(
    server_factory: ServerFactory, hostile: dict[Path, set[str]], numbered: Path
) -> None:
    server = server_factory(workers="2")
    server.start()
    client = server.begin("upload", *hostile, "--json")
    neighbour = finished(server.begin("upload", numbered, "--json"), within_s=180)
    found = finished(client, within_s=180)

    assert neighbour.status == 0, neighbour.text
    assert found.status == 1
    for (path, codes), answer in zip(hostile.items(), found.json["videos"], strict=True):
        assert answer["state"] == "FAILED", path.name
        assert answer["error"]["code"] in codes, path.name
        text = answer["error"]["text"]
        assert text[0].isupper(), path.name
        assert text.endswith("."), path.name
        assert str(server.data_dir) not in text, path.name
        events = server.records("publications", answer["video_id"])
        times = {one["event"]: one["atMs"] for one in events}
        assert times["VideoFailed"] - times["VideoUploaded"] < FAILED_WITHIN_MS, path.name
        assert read_object(server, f"originals/{answer['video_id']}/") == path.read_bytes()
    assert server.call("GET", "/v1/dead-letters", role="operator").json["items"] == []
    assert server.run("fsck").status == 0


def test_a_work_that_wants_too_much_memory_costs_its_video_and_not_the_pool(
    server_factory: ServerFactory, numbered: Path, tmp_path: Path
) -> None:
    """2160p with seven rungs needs 1.2 GB; the small neighbour needs a fraction of that."""
    server = server_factory(worker_memory_bytes_max=str(900 << 20))
    server.start()
    large = Clip(
        "large.mp4", constant(Fraction(5), 2), Fraction(1, 5), size=(3840, 2160), options=FAST
    )
    client = server.begin("upload", make(large, tmp_path), "--json")
    neighbours = [server.run("upload", numbered, "--title", title) for title in ("one", "two")]
    assert [one.status for one in neighbours] == [0, 0], [one.text for one in neighbours]

    found = finished(client, within_s=180)
    assert found.json["state"] == "FAILED", found.text
    assert found.json["error"]["text"].endswith(".")
    failed = [one["body"] for one in server.records("renditions") if one["event"] == "EncodeFailed"]
    assert max(one["attempt"] for one in failed) == 3
