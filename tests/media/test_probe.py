"""A source is what its packets show (TRN-1)."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.audio.stream import AudioStream

from millrace.processors.media.cut import cut
from millrace.processors.media.failures import Refused
from millrace.processors.media.probe import Limits, Probed, probe
from millrace.processors.media.timeline import grid_of, tick_of
from millrace.schemas.events import VideoTrack
from tests.media.clips import CLIPS, FAST, MS, VP8, Clip

Source = Callable[[str], Path]
Made = Callable[[Clip], Path]

FRAME_25 = Fraction(1, 25)


def probed(path: Path) -> Probed:
    return probe(path, Limits())


def track_of(path: Path) -> VideoTrack:
    video = probed(path).video
    assert video is not None
    return video


@pytest.mark.parametrize(
    ("name", "rate", "frames", "duration_ms"),
    [
        ("closed-25.mp4", Fraction(25), 200, 8000),
        ("ntsc-29.97.mp4", Fraction(30_000, 1001), 239, 7975),
        ("film-23.976.mp4", Fraction(24_000, 1001), 191, 7966),
        ("film-23.976.mkv", Fraction(24_000, 1001), 191, 7966),
        ("smooth-59.94.mp4", Fraction(60_000, 1001), 479, 7991),
        ("open-h264.mkv", Fraction(30), 240, 8000),
        ("open-hevc.mp4", Fraction(30), 240, 8000),
        ("offset.ts", Fraction(30_000, 1001), 239, 7975),
        ("edited.mp4", Fraction(25), 186, 7440),
        ("vp9.webm", Fraction(30), 240, 8000),
        ("bigbuckbunny.mp4", Fraction(25), 132, 5280),
        ("bikes.mp4", Fraction(25), 250, 10_000),
    ],
)
def test_a_constant_rate_is_found_in_the_timestamps(
    name: str, rate: Fraction, frames: int, duration_ms: int, source: Source
) -> None:
    found = probed(source(name))
    track = found.video
    assert track is not None
    assert track.constant_rate
    assert Fraction(track.rate_num, track.rate_den) == rate
    assert (track.frames, found.duration_ms) == (frames, duration_ms)


def test_a_slide_show_has_no_constant_rate(source: Source) -> None:
    track = track_of(source("stills.mkv"))
    assert not track.constant_rate
    assert track.frames == len(CLIPS["stills.mkv"].pts)
    assert track.end_pts > 17_580


def test_one_missing_frame_makes_the_rate_variable(made: Made) -> None:
    pts = [*range(50), *range(51, 100)]
    assert not track_of(made(Clip("dropped.mp4", pts, FRAME_25))).constant_rate


@pytest.mark.parametrize("error_ms", [3, -3])
def test_timestamps_that_wander_by_more_than_rounding_make_the_rate_variable(
    error_ms: int, made: Made
) -> None:
    pts = [40 * index + error_ms * (index % 2) for index in range(51)]
    clip = Clip(f"wandering{error_ms}.mkv", pts, MS, rate=Fraction(25))
    assert not track_of(made(clip)).constant_rate


def test_a_single_frame_is_a_video(made: Made) -> None:
    track = track_of(made(Clip("single.mp4", [0], FRAME_25, rate=Fraction(25))))
    assert (track.frames, track.start_pts) == (1, 0)
    assert track.end_pts > 0


def test_the_timeline_begins_at_the_first_shown_frame(source: Source) -> None:
    assert track_of(source("offset.ts")).start_pts == 90_000 * 600
    assert track_of(source("edited.mp4")).start_pts == 0


def test_sound_is_placed_on_the_timeline_of_the_picture(source: Source) -> None:
    sound = probed(source("bigbuckbunny.mp4")).audio
    assert [(track.codec, track.channels, track.sample_rate_hz) for track in sound] == [
        ("aac", 6, 48_000)
    ]
    assert (sound[0].start_ms, sound[0].duration_ms) == (0, 5312)
    assert probed(source("bikes.mp4")).audio == ()


def test_a_file_with_sound_alone_has_no_video_track(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=48_000, layout="mono")
        assert isinstance(stream, AudioStream)
        for start in range(0, 48_000 * 3, 1024):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.planes[0].update(bytes(4096))
            frame.sample_rate, frame.pts = 48_000, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    found = probed(path)
    assert found.video is None
    assert abs(found.duration_ms - 3000) < 50
    assert [track.channels for track in found.audio] == [1]


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
def test_rotation_is_clockwise(rotation_deg: int, made: Made) -> None:
    clip = Clip(f"turned-{rotation_deg}.mp4", range(25), FRAME_25, rotation_deg=rotation_deg)
    track = track_of(made(clip))
    assert (track.rotation_deg, track.width, track.height) == (rotation_deg, 320, 180)


def test_colours_are_named_and_unknown_where_untagged(made: Made, source: Source) -> None:
    tagged = track_of(made(Clip("tagged.mp4", range(25), FRAME_25, colour=1)))
    assert (tagged.color_primaries, tagged.color_transfer, tagged.color_matrix) == ("bt709",) * 3
    untagged = track_of(source("bikes.mp4"))
    assert untagged.color_primaries == untagged.color_transfer == untagged.color_matrix == "unknown"


def test_the_longest_gop_is_measured_to_the_end_of_the_track(source: Source, made: Made) -> None:
    assert track_of(source("bigbuckbunny.mp4")).gop_ms_max == 5280
    assert track_of(source("closed-25.mp4")).gop_ms_max == 2000


def test_interlaced_pictures_are_seen(made: Made) -> None:
    options = FAST | {"x264-params": "tff=1:bframes=0"}
    track = track_of(made(Clip("fields.mp4", range(25), FRAME_25, options=options)))
    assert track.field_order == "tt"


def test_frames_of_vp8_that_are_only_looked_at_by_others_are_not_counted(
    made: Made, tmp_path: Path
) -> None:
    clip = Clip("vp8.webm", [40 * i for i in range(50)], MS, codec="libvpx", options=VP8)
    path = tmp_path / "vp8.webm"
    with av.open(str(made(clip))) as original, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(original.streams.video[0])
        for number, packet in enumerate(p for p in original.demux(video=0) if p.size):
            content = bytearray(bytes(packet))
            if number in (20, 30):
                content[0] &= ~0x10
            copy = av.Packet(bytes(content))
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.is_keyframe, copy.stream = packet.is_keyframe, stream
            output.mux(copy)
    with av.open(str(path)) as container:
        shown = [frame.pts for frame in container.decode(video=0)]
    assert len(shown) == 48
    track = track_of(path)
    assert track.frames == 48
    chunk = next(cut(path, track, grid_of(track), tmp_path))
    assert (chunk.range.frames, chunk.range.hidden_pts) == (48, (800, 1200))


def test_cover_art_is_no_video(tmp_path: Path, made: Made, source: Source) -> None:
    """A song with a picture is audio, and its one frame is not the video."""
    path = tmp_path / "song.mp4"
    with av.open(str(source("closed-25.mp4"))) as original, av.open(str(path), "w") as output:
        cover = output.add_stream("mjpeg", rate=1)
        assert isinstance(cover, av.VideoStream)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = output.add_stream_from_template(original.streams.audio[0])
        frame = av.VideoFrame(64, 64, "yuvj420p")
        frame.pts, frame.time_base = 0, Fraction(1)
        output.mux(cover.encode(frame))
        output.mux(cover.encode(None))
        for packet in original.demux(audio=0):
            if packet.size:
                packet.stream = sound
                output.mux(packet)
    found = probed(path)
    assert found.video is None
    assert len(found.audio) == 1


def test_a_file_that_is_not_there_is_no_verdict_on_a_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "gone.mp4", Limits())


def test_the_codes_of_refusals_are_words(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes(b"no")
    with pytest.raises(Refused) as refused:
        probe(path, Limits())
    assert refused.value.args == (refused.value.code, refused.value.text)
    assert refused.value.code.replace("_", "").isalpha()


def test_a_last_frame_shorter_than_a_tick_of_the_output_gets_one(
    made: Made, tmp_path: Path
) -> None:
    """Or it would end where it begins, and the last segment with it."""
    options = FAST | {"bf": "0"}
    stamps = [0, 40_000, 90_000]
    clip = made(Clip("short-end.mp4", stamps, Fraction(1, 1_000_000), options=options))
    path = tmp_path / "short.mp4"
    with av.open(str(clip)) as original, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(video=0):
            if packet.size:
                packet.duration = 1 if packet.pts == stamps[-1] else 40_000
                packet.stream = stream
                output.mux(packet)
    track = track_of(path)
    assert not track.constant_rate
    assert tick_of(track, grid_of(track), track.end_pts) == 90_000 * 90 // 1000 + 1
