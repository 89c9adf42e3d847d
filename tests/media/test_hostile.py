"""What can't be a video is refused in seconds, with a stable code and a sentence (ING-8)."""

import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from millrace.processors.media.failures import Refused
from millrace.processors.media.probe import Limits, Probed, probe
from tests.media.clips import FAST, MS, Clip

Source = Callable[[str], Path]
Made = Callable[[Clip], Path]

pytestmark = pytest.mark.timeout(30)


def refusal(path: Path, limits: Limits | None = None) -> Refused:
    with pytest.raises(Refused) as refused:
        probe(path, limits or Limits())
    assert refused.value.text.endswith(".")
    assert refused.value.text[0].isupper()
    assert str(path.parent) not in refused.value.text, "a creator is told no path of ours"
    return refused.value


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def zip_file(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("video.mp4", b"nothing" * 1000)
    return path


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert refusal(write(tmp_path / "v.mp4", b"")).code == "empty_file"


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"Dear diary, this is no video.\n" * 1000,
        random.Random(1).randbytes(1_000_000),
        b"\x00" * 1_000_000,
        b"\x47" * 1_000_000,
        b"\x1a\x45\xdf\xa3" + random.Random(2).randbytes(100_000),
        b"\x00\x00\x00\x18ftypisom" + random.Random(3).randbytes(100_000),
    ],
    ids=["byte", "text", "random", "zeros", "syncs", "mkv-magic", "mp4-magic"],
)
def test_what_is_no_video_is_refused(content: bytes, tmp_path: Path) -> None:
    code = refusal(write(tmp_path / "v.mp4", content)).code
    assert code in ("not_a_video", "no_tracks", "truncated")


def test_a_zip_is_refused(tmp_path: Path) -> None:
    assert refusal(zip_file(tmp_path / "v.mp4")).code == "not_a_video"


def test_a_playlist_that_names_other_files_is_not_followed(source: Source, tmp_path: Path) -> None:
    """FFmpeg would read any file of the machine through these."""
    target = source("closed-25.mp4")
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{target}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{target}'\n",
    ):
        assert refusal(write(tmp_path / "v.mp4", text.encode())).code == "not_a_video"


@pytest.mark.parametrize("name", ["closed-25.mp4", "ntsc-29.97.mp4", "bigbuckbunny.mp4"])
@pytest.mark.parametrize("kept_percent", [99, 50, 10])
def test_an_mp4_cut_off_at_its_end_is_refused(
    name: str, kept_percent: int, source: Source, tmp_path: Path
) -> None:
    content = source(name).read_bytes()
    cut_off = write(tmp_path / name, content[: len(content) * kept_percent // 100])
    assert refusal(cut_off).code in ("not_a_video", "truncated")


@pytest.mark.parametrize("kept_percent", [95, 50, 10])
def test_an_mp4_that_begins_with_its_index_is_refused_when_cut_off(
    kept_percent: int, made: Made, tmp_path: Path
) -> None:
    path = made(Clip("faststart.mp4", range(200), Fraction(1, 25), mux={"movflags": "faststart"}))
    content = path.read_bytes()
    cut_off = write(tmp_path / "v.mp4", content[: len(content) * kept_percent // 100])
    assert refusal(cut_off).code == "truncated"


@pytest.mark.parametrize("kept_percent", [75, 50, 10])
def test_a_matroska_cut_off_at_its_end_is_refused(
    kept_percent: int, source: Source, tmp_path: Path
) -> None:
    content = source("film-23.976.mkv").read_bytes()
    cut_off = write(tmp_path / "v.mkv", content[: len(content) * kept_percent // 100])
    assert refusal(cut_off).code == "truncated"


@pytest.mark.parametrize("name", ["closed-25.mp4", "film-23.976.mkv", "vp9.webm"])
@pytest.mark.parametrize("lost_percent", [1, 50])
def test_a_file_without_its_beginning_is_refused(
    name: str, lost_percent: int, source: Source, tmp_path: Path
) -> None:
    content = source(name).read_bytes()
    headless = write(tmp_path / name, content[len(content) * lost_percent // 100 :])
    assert refusal(headless).code == "not_a_video"


@pytest.mark.parametrize(("start", "end"), [(30, 100), (0, 60)])
def test_a_transport_stream_cut_off_at_either_end_is_what_is_left_of_it(
    start: int, end: int, source: Source, tmp_path: Path
) -> None:
    """MPEG-TS promises no length: it is a recording that begins and ends where it does."""
    content = source("offset.ts").read_bytes()
    part = content[len(content) * start // 100 : len(content) * end // 100]
    whole = probe(source("offset.ts"), Limits()).video
    video = probe(write(tmp_path / "v.ts", part), Limits()).video
    assert video is not None
    assert whole is not None
    assert 0 < video.frames < whole.frames


def test_a_picture_too_large_is_refused_by_its_size(made: Made) -> None:
    clip = Clip("huge.mp4", range(2), Fraction(1, 25), size=(8192, 8192), options=FAST)
    refused = refusal(made(clip))
    assert refused.code == "frame_too_large"
    assert "8192 x 8192" in refused.text


def test_a_thousand_frames_a_second_are_refused(made: Made) -> None:
    refused = refusal(made(Clip("fast.mkv", range(3000), MS, rate=Fraction(1000), gop=250)))
    assert refused.code == "frame_rate_too_high"
    assert "1000 frames a second" in refused.text


def test_more_frames_than_the_limit_are_refused(source: Source) -> None:
    limits = replace(Limits(), frames_max=100)
    assert refusal(source("closed-25.mp4"), limits).code == "too_many_frames"


def test_a_video_longer_than_the_limit_is_refused(source: Source) -> None:
    limits = replace(Limits(), duration_ms_max=5000)
    assert refusal(source("closed-25.mp4"), limits).code == "too_long"


def test_more_tracks_than_the_limit_are_refused(source: Source) -> None:
    limits = replace(Limits(), streams_max=1)
    assert refusal(source("closed-25.mp4"), limits).code == "too_many_streams"


def with_field(content: bytes, box: bytes, offset: int, value: int) -> bytes:
    """`content` with a 32-bit field of the first `box` replaced; `offset` from the box's type."""
    at = content.index(box) + offset
    return content[:at] + struct.pack(">I", value) + content[at + 4 :]


@pytest.mark.parametrize(
    ("box", "offset", "value", "code"),
    [
        # Offsets from the type: version, creation, modification, timescale, duration.
        (b"mvhd", 20, 1000 * 36_000, "truncated"),
        (b"mdhd", 20, 24_000 * 36_000, "damaged_header"),
        # Version, entries, samples of the first entry.
        (b"stts", 12, 191_000, "damaged_header"),
        # Version, size of all samples, samples.
        (b"stsz", 12, 95, "damaged_header"),
        (b"stsz", 12, 2**31, "not_a_video"),
    ],
)
def test_a_header_that_lies_about_length_or_frames_is_refused(
    box: bytes, offset: int, value: int, code: str, source: Source, tmp_path: Path
) -> None:
    content = source("film-23.976.mp4").read_bytes()
    lying = write(tmp_path / "v.mp4", with_field(content, box, offset, value))
    assert refusal(lying).code == code


def test_a_header_that_promises_ten_hours_is_told_what_is_there(
    source: Source, tmp_path: Path
) -> None:
    content = source("film-23.976.mkv").read_bytes()
    at = content.index(b"\x44\x89\x88") + 3
    lying = content[:at] + struct.pack(">d", 36_000_000.0) + content[at + 8 :]
    refused = refusal(write(tmp_path / "v.mkv", lying))
    assert refused.code == "truncated"
    assert "36000.0 s" in refused.text
    assert "only 8.0 s" in refused.text


def test_pictures_of_noise_behind_a_good_header_are_refused(source: Source, tmp_path: Path) -> None:
    content = source("film-23.976.mp4").read_bytes()
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    noise = random.Random(4).randbytes(end - start)
    noisy = write(tmp_path / "v.mp4", content[:start] + noise + content[end:])
    assert refusal(noisy).code in ("undecodable", "truncated", "broken_timestamps")


def test_mutated_files_are_probed_or_refused_and_nothing_else(
    source: Source, tmp_path: Path
) -> None:
    """Whatever PyAV raises, a worker sees a verdict (25 of 1500 raised no FFmpegError)."""
    seed = random.Random(5)
    for name in ("closed-25.mp4", "stills.mkv", "offset.ts"):
        content = source(name).read_bytes()
        for _ in range(30):
            mutated = bytearray(content)
            header = seed.random() < 0.7
            for _ in range(seed.randint(1, 40)):
                at = (
                    seed.randrange(min(len(mutated), 3000))
                    if header
                    else seed.randrange(len(content))
                )
                mutated[-at if name.endswith("mp4") and header else at] = seed.randrange(256)
            assert _verdict(write(tmp_path / name, bytes(mutated))) is not None


def _verdict(path: Path) -> Probed | Refused:
    try:
        return probe(path, Limits())
    except Refused as refused:
        return refused
