"""A poster shows the video as it is shown, and not its darkness (THM)."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image, ImageStat

from millrace.processors.media.cut import CutChunk, cut
from millrace.processors.media.failures import MediaFailed
from millrace.processors.media.poster import Poster, poster, poster_size
from millrace.processors.media.probe import Limits, probe
from millrace.processors.media.timeline import grid_of
from millrace.schemas.events import VideoTrack
from tests.media.clips import Clip
from tests.media.pictures import SIZE, gray_number, make_chunk, make_range, make_track

Source = Callable[[str], Path]
Made = Callable[[Clip], Path]


def first_chunk(path: Path, out_dir: Path) -> tuple[VideoTrack, CutChunk]:
    track = probe(path, Limits()).video
    assert track is not None
    return track, next(cut(path, track, grid_of(track), out_dir))


def brightness(path: Path, box: tuple[int, int, int, int] | None = None) -> float:
    """Mean luma of a part of a picture, 0 to 255."""
    with Image.open(path) as picture:
        return ImageStat.Stat(picture.convert("L").crop(box or (0, 0, *picture.size))).mean[0]


def test_the_poster_of_a_real_clip_is_a_jpeg_of_its_size(source: Source, tmp_path: Path) -> None:
    track, chunk = first_chunk(source("bigbuckbunny.mp4"), tmp_path)
    out = tmp_path / "poster.jpg"
    size = poster(chunk.path, track, chunk.range, out)
    with Image.open(out) as picture:
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        assert picture.size == (size.width, size.height) == (1280, 720)
    assert out.stat().st_size < 400_000


def test_black_frames_at_the_begin_are_passed_over(made: Made, tmp_path: Path) -> None:
    pts = range(100)
    clip = Clip("fade-in.mp4", pts, Fraction(1, 25), black=50)
    track, chunk = first_chunk(made(clip), tmp_path)
    out = tmp_path / "poster.jpg"
    poster(chunk.path, track, chunk.range, out)
    assert brightness(out) > 40


def test_a_black_video_has_a_black_poster(made: Made, tmp_path: Path) -> None:
    clip = Clip("night.mp4", range(30), Fraction(1, 25), black=30)
    track, chunk = first_chunk(made(clip), tmp_path)
    out = tmp_path / "poster.jpg"
    poster(chunk.path, track, chunk.range, out)
    assert brightness(out) < 10


@pytest.mark.parametrize(
    ("rotation_deg", "flash_box"),
    [
        (90, (10, 10, 80, 150)),
        (180, (170, 10, 310, 80)),
        (270, (100, 170, 170, 310)),
    ],
)
def test_a_turned_video_has_an_upright_poster(
    rotation_deg: int, flash_box: tuple[int, int, int, int], made: Made, tmp_path: Path
) -> None:
    """The flash is in the lower left quarter of the stored picture, and turns with it clockwise."""
    clip = Clip(f"turned-{rotation_deg}.mp4", range(25), Fraction(1, 25), rotation_deg=rotation_deg)
    track, chunk = first_chunk(made(clip), tmp_path)
    assert track.rotation_deg == rotation_deg
    out = tmp_path / "poster.jpg"
    size = poster(chunk.path, track, chunk.range, out)
    assert size == (Poster(320, 180) if rotation_deg == 180 else Poster(180, 320))
    assert brightness(out, flash_box) > 220


def test_the_size_is_square_pixels_at_most_1280_wide(source: Source) -> None:
    track = probe(source("closed-25.mp4"), Limits()).video
    assert track is not None
    anamorphic = replace(track, width=1440, height=1080, sar_num=4, sar_den=3)
    assert poster_size(anamorphic) == Poster(1280, 720)
    upright = replace(track, width=3840, height=2160, rotation_deg=90)
    assert poster_size(upright) == Poster(1280, 2276)
    assert poster_size(track) == Poster(320, 180)


def test_equal_input_gives_equal_bytes(source: Source, tmp_path: Path) -> None:
    track, chunk = first_chunk(source("bikes.mp4"), tmp_path)
    for name in ("one.jpg", "two.jpg"):
        poster(chunk.path, track, chunk.range, tmp_path / name)
    assert (tmp_path / "one.jpg").read_bytes() == (tmp_path / "two.jpg").read_bytes()


def test_a_chunk_that_does_not_decode_is_a_failed_attempt(source: Source, tmp_path: Path) -> None:
    track, chunk = first_chunk(source("closed-25.mp4"), tmp_path)
    chunk.path.write_bytes(chunk.path.read_bytes()[:100])
    with pytest.raises(MediaFailed) as failed:
        poster(chunk.path, track, chunk.range, tmp_path / "poster.jpg")
    assert failed.value.code == "chunk_unreadable"


def test_a_damaged_packet_costs_no_poster(tmp_path: Path) -> None:
    """The first pictures are lost: the poster is of the first one that decodes."""
    pictures = [(n, gray_number(n)) for n in range(12)]
    path = make_chunk(
        tmp_path / "chunk.nut",
        pictures,
        time_base=Fraction(1, 25),
        codec="mjpeg",
        spoiled=[0, 1],
    )
    out = tmp_path / "poster.jpg"
    assert poster(path, make_track(), make_range(0, 12), out).width == SIZE[0]
    assert out.stat().st_size > 0
