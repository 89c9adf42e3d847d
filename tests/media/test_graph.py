"""What becomes of a picture on its way to a rung: its size, its way up, its colour, its fields."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from millrace.processors.media.encode import encode
from tests.media.pictures import (
    BLACK,
    SIZE,
    WHITE,
    Paint,
    decoded,
    encode_one,
    flat,
    gray_number,
    make_chunk,
    make_grid,
    make_picture,
    make_range,
    make_rung,
    make_track,
    middle,
    number_of,
    numbered,
    rows_of,
)


def test_every_rung_of_a_group_shows_the_same_pictures_at_its_own_size(tmp_path: Path) -> None:
    track = make_track()
    pictures = [(n, gray_number(n)) for n in range(50)]
    path = make_chunk(tmp_path / "chunk.nut", pictures, time_base=Fraction(1, 25))
    sizes = [(64, 36), (128, 72), SIZE]
    rungs = tuple(make_rung(f"{size[1]}p", size) for size in sizes)
    chunk = make_range(0, 50, hi_pts=None)
    made = encode(path, track, make_grid(track), chunk, rungs, tmp_path / "out")
    assert tuple(one.rung for one in made) == rungs
    for one, size in zip(made, sizes, strict=True):
        frames = decoded(one)
        assert {(frame.width, frame.height) for frame in frames} == {size}
        assert [number_of(frame) for frame in frames] == list(range(50))
        assert one.init_path.parent.name == one.rung.name


# Where the bright corner of the coded picture lies once it is turned clockwise.
CORNERS = {0: (0.1, 0.1), 90: (0.9, 0.1), 180: (0.9, 0.9), 270: (0.1, 0.9)}


@pytest.mark.parametrize("rotation_deg", CORNERS)
def test_a_rotated_source_comes_out_upright(tmp_path: Path, rotation_deg: int) -> None:
    def corner(width: int, height: int) -> bytes:
        bright = bytes([WHITE]) * (width // 4) + bytes([BLACK]) * (width - width // 4)
        return bright * (height // 4) + bytes([BLACK]) * (width * (height - height // 4))

    size = SIZE if rotation_deg in (0, 180) else SIZE[::-1]
    shown = encode_one(
        tmp_path,
        [make_picture((corner, flat(128), flat(128)))] * 3,
        make_track(rotation_deg=rotation_deg),
        make_rung(size=size),
    )
    assert (shown[0].width, shown[0].height) == size
    bright = {place for place in CORNERS.values() if middle(shown[0], place)[0] > 200}
    assert bright == {CORNERS[rotation_deg]}


def test_a_source_with_long_pixels_fills_its_rung_with_square_ones(tmp_path: Path) -> None:
    track = make_track(width=96, sar_num=2)
    halves = make_picture((numbered(0b00001111), flat(128), flat(128)), (96, 108))
    shown = encode_one(tmp_path, [halves] * 3, track, make_rung())
    assert shown[0].width == SIZE[0]
    assert [middle(shown[0], (x, 0.5))[0] > 125 for x in (0.05, 0.45, 0.55, 0.95)] == [
        False,
        False,
        True,
        True,
    ]


# Full red and green in YCbCr of both matrices, limited range (ITU-R BT.601 and BT.709).
RED_601, RED_709 = (81, 90, 240), (63, 102, 240)
GREEN_601, GREEN_709 = (145, 54, 34), (173, 42, 26)


@pytest.mark.parametrize(
    ("tags", "given", "expected"),
    [
        ({"color_matrix": "unknown"}, RED_601, RED_709),
        ({"color_matrix": "unknown"}, GREEN_601, GREEN_709),
        ({"color_matrix": "smpte170m"}, RED_601, RED_709),
        ({"color_matrix": "bt709"}, RED_709, RED_709),
        ({"color_matrix": "bt709", "color_range": "pc"}, (54, 99, 255), RED_709),
        ({"color_matrix": "unknown", "width": 1280, "height": 720}, RED_709, RED_709),
    ],
)
def test_colours_become_bt709_of_limited_range_whatever_the_source_says(
    tmp_path: Path,
    tags: dict[str, object],
    given: tuple[int, int, int],
    expected: tuple[int, int, int],
) -> None:
    size = (1280, 720) if "width" in tags else SIZE
    track = replace(make_track(), **tags)  # type: ignore[arg-type]
    picture = make_picture([flat(value) for value in given], size)
    shown = encode_one(tmp_path, [picture] * 3, track, make_rung(crf=10.0))
    assert middle(shown[0]) == pytest.approx(expected, abs=2)
    frame = shown[0]
    said = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
    assert said == (1, 1, 1, 1)


# Luminance in nits, its code in 10 bits of limited range, and the luma it is shown with. HLG's
# codes are those of a display of 1000 nits (ITU-R BT.2100), where 203 nits are 75 % of the signal.
PQ = [(1, 195, 34), (100, 509, 126), (203, 573, 149), (1000, 723, 194), (4000, 855, 221)]
HLG = [(1, 149, 36), (100, 616, 138), (203, 721, 165), (500, 847, 202), (1000, 940, 235)]


@pytest.mark.parametrize(("transfer", "patches"), [("smpte2084", PQ), ("arib-std-b67", HLG)])
def test_high_dynamic_range_is_mapped_and_not_clipped(
    transfer: str, patches: list[tuple[int, int, int]], tmp_path: Path
) -> None:
    def painted(width: int, height: int) -> bytes:
        each = width // 2 // len(patches) + 1
        row = b"".join(code.to_bytes(2, "little") * each for _, code, _ in patches)
        return row[:width] * height

    def neutral(width: int, height: int) -> bytes:
        return (512).to_bytes(2, "little") * (width // 2 * height)

    pixels = "yuv420p10le"
    track = make_track(
        pixel_format=pixels,
        color_primaries="bt2020",
        color_transfer=transfer,
        color_matrix="bt2020nc",
    )
    picture = make_picture((painted, neutral, neutral), pixel_format=pixels)
    shown = encode_one(tmp_path, [picture] * 3, track, make_rung(crf=10.0))
    count = len(patches)
    seen = [middle(shown[0], ((n + 0.5) / count, 0.5))[0] for n in range(count)]
    assert seen == pytest.approx([luma for _, _, luma in patches], abs=3)


def test_interlaced_pictures_lose_their_combs_and_none_is_lost(tmp_path: Path) -> None:
    def combed(one: int, two: int) -> Paint:
        return lambda width, height: (bytes([one]) * width + bytes([two]) * width) * (height // 2)

    track = make_track(field_order="tt")
    values = [(200, 50), (50, 200)] * 5
    pictures = [make_picture((combed(*pair), flat(128), flat(128))) for pair in values]
    shown = encode_one(tmp_path, pictures, track, make_rung(crf=10.0))
    assert len(shown) == 10
    for frame, (top, _) in zip(shown, values, strict=True):
        column = [row[96] for row in rows_of(frame, 0)][20:80]
        assert max(abs(value - top) for value in column) < 20


def test_a_source_that_changes_its_size_half_way_fills_the_rung_all_the_same(
    tmp_path: Path,
) -> None:
    whole = [gray_number(n) for n in range(10)]
    small = [make_picture((numbered(n), flat(128), flat(128)), (96, 54)) for n in range(10, 20)]
    # A deinterlacer compares neighbours: it can't go on over such a change.
    pictures, track = [*whole, *small], make_track(field_order="tt")
    shown = encode_one(tmp_path, pictures, track, make_rung(), codec="mjpeg")
    assert [number_of(frame) for frame in shown] == list(range(20))
