"""Sound lies where its timestamps put it, from the first sample to the last, at one loudness."""

import math
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.audio.stream import AudioStream

from millrace.processors.media import cmaf
from millrace.processors.media.audio import EncodedAudio, encode_audio, segment_start
from millrace.processors.media.failures import MediaFailed
from millrace.schemas.events import AudioTrack, Grid, VideoTrack
from tests.builders import make_video_track

GRID = Grid(timescale=30_000, segment_ms=6000, keyframe_ms=2000, chunk_segments=1)
AAC_FRAME = 1024
RATE_HZ = 48_000
BEEP_HZ = 1000
BEEP_MS = 100

Wave = Callable[[float], float]


def beeps(*at_ms: int, level: float = 0.5) -> Wave:
    """Tones of 100 ms that start at the given times of the source's clock; silence between."""

    def wave(time: float) -> float:
        for start_ms in at_ms:
            into = time - start_ms / 1000
            if 0 <= into < BEEP_MS / 1000:
                return level * math.cos(2 * math.pi * BEEP_HZ * into)
        return 0.0

    return wave


def tone(level: float) -> Wave:
    return lambda time: level * math.sin(2 * math.pi * 997 * time)


def make_source(
    path: Path,
    wave: Wave,
    *,
    spans_ms: tuple[tuple[int, int], ...] = ((0, 13_000),),
    codec: str = "pcm_s16le",
    rate_hz: int = RATE_HZ,
) -> AudioTrack:
    """Write a mono track that has samples in `spans_ms` only; the container follows the suffix."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        assert isinstance(stream, AudioStream)
        for from_ms, to_ms in spans_ms:
            for frame in _frames(wave, from_ms, to_ms, rate_hz, stream.format.name):
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    start_ms, end_ms = spans_ms[0][0], spans_ms[-1][1]
    return AudioTrack(0, codec, 1, rate_hz, "und", start_ms, end_ms - start_ms)


def _frames(
    wave: Wave, from_ms: int, to_ms: int, rate_hz: int, layout: str
) -> Iterator[av.AudioFrame]:
    first, last = from_ms * rate_hz // 1000, to_ms * rate_hz // 1000
    for start in range(first, last, AAC_FRAME):
        count = min(AAC_FRAME, last - start)
        values = [wave((start + n) / rate_hz) for n in range(count)]
        frame = av.AudioFrame(layout, "mono", count)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
        if layout == "fltp":
            body = struct.pack(f"<{count}f", *values)
        else:
            body = struct.pack(f"<{count}h", *(round(32_767 * value) for value in values))
        frame.planes[0].update(body.ljust(frame.planes[0].buffer_size, b"\0"))
        yield frame


def make_video(*, start_ms: int = 0, length_ms: int = 13_000) -> VideoTrack:
    """A video track of 30 fps in milliseconds that gives the timeline; nothing reads its file."""
    return make_video_track(
        stream_index=1,
        rate_num=30,
        start_pts=start_ms,
        end_pts=start_ms + length_ms,
        frames=length_ms * 30 // 1000,
    )


def encoded(
    source: Path, track: AudioTrack, video: VideoTrack | None, duration_ms: int = 13_000
) -> EncodedAudio:
    out_dir = source.parent / "out"
    return encode_audio(source, track, video, GRID, duration_ms, 128_000, out_dir)


def samples_of(made: EncodedAudio) -> tuple[int, ...]:
    """Peak of each 1 ms (48 samples) of what a player hears, from the start of the timeline."""
    parts = [made.init_path.read_bytes(), *(path.read_bytes() for _, path in made.segments)]
    heard: list[float] = []
    with av.open(BytesIO(b"".join(parts)), "r") as container:
        for frame in container.decode(audio=0):
            assert frame.pts == len(heard), "a decoder found a gap"
            heard += struct.unpack_from(f"<{frame.samples}f", bytes(frame.planes[0]))
    return tuple(
        round(1000 * max(map(abs, heard[at : at + 48]))) for at in range(0, len(heard), 48)
    )


def starts_ms(made: EncodedAudio) -> list[int]:
    """Times at which a beep starts, to the millisecond."""
    peaks = samples_of(made)
    loud = [at for at, peak in enumerate(peaks) if peak > 100]
    return [at for before, at in pairwise([-1000, *loud]) if at - before > BEEP_MS // 2]


def assert_near(heard: list[int], expected: list[int], tolerance_ms: int = 2) -> None:
    """The codec smears an onset by a millisecond or two, never by an AAC frame (21 ms)."""
    assert len(heard) == len(expected), heard
    for one, two in zip(heard, expected, strict=True):
        assert abs(one - two) <= tolerance_ms, (heard, expected)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate_hz"),
    [
        ("mov", "pcm_s16le", 48_000),
        ("mp4", "aac", 44_100),
        ("mkv", "aac", 48_000),
        ("ts", "aac", 48_000),
        ("mkv", "libopus", 48_000),
    ],
)
def test_a_beep_is_heard_when_it_was_made_at_the_start_at_joints_and_at_the_end(
    tmp_path: Path, suffix: str, codec: str, rate_hz: int
) -> None:
    # A broadcast TS starts at any time; the others start at 0.
    start_ms = 10_000 if suffix == "ts" else 0
    source = tmp_path / f"source.{suffix}"
    at_ms = (500, 3000, 5950, 12_000)
    wave = beeps(*(start_ms + at for at in at_ms))
    spans_ms = ((start_ms, start_ms + 13_000),)
    track = make_source(source, wave, spans_ms=spans_ms, codec=codec, rate_hz=rate_hz)
    made = encoded(source, track, make_video(start_ms=start_ms))
    assert_near(starts_ms(made), list(at_ms))


def test_late_sound_is_preceded_by_silence(tmp_path: Path) -> None:
    source = tmp_path / "late.mkv"
    track = make_source(source, beeps(3000), spans_ms=((2500, 13_000),))
    assert_near(starts_ms(encoded(source, track, make_video())), [3000])


def test_sound_before_the_first_frame_is_trimmed(tmp_path: Path) -> None:
    source = tmp_path / "early.mkv"
    track = make_source(source, beeps(500, 3000))
    assert_near(starts_ms(encoded(source, track, make_video(start_ms=1000))), [2000])


def test_a_gap_in_the_sound_becomes_silence_and_moves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "gap.mkv"
    track = make_source(source, beeps(500, 8000), spans_ms=((0, 2000), (7000, 13_000)))
    assert_near(starts_ms(encoded(source, track, make_video())), [500, 8000])


def test_sound_alone_starts_with_its_first_sample(tmp_path: Path) -> None:
    source = tmp_path / "alone.mkv"
    track = make_source(source, beeps(3000), spans_ms=((2500, 8500),))
    made = encoded(source, track, None, duration_ms=6000)
    assert_near(starts_ms(made), [500])
    assert sum(segment.duration_ticks for segment, _ in made.segments) == 281 * AAC_FRAME


@pytest.mark.parametrize("sound_ms", [4000, 20_000])
def test_the_end_is_the_videos_end_within_one_frame(tmp_path: Path, sound_ms: int) -> None:
    source = tmp_path / "end.mkv"
    track = make_source(source, tone(0.1), spans_ms=((0, sound_ms),))
    made = encoded(source, track, make_video(length_ms=13_000))
    ticks = sum(segment.duration_ticks for segment, _ in made.segments)
    assert abs(ticks - 13 * RATE_HZ) < AAC_FRAME
    peaks = samples_of(made)
    assert max(peaks[3900:3990]) > 50
    assert (max(peaks[4100:]) > 50) is (sound_ms > 13_000)


def test_segments_are_cut_at_the_nearest_frame_and_join_without_a_tick_between(
    tmp_path: Path,
) -> None:
    source = tmp_path / "joints.mkv"
    track = make_source(source, tone(0.1), spans_ms=((0, 19_000),))
    made = encoded(source, track, make_video(length_ms=19_000))
    assert [segment.frames for segment, _ in made.segments] == [281, 282, 281, 47]
    at = 0
    for segment, path in made.segments:
        fragment = cmaf.read_fragment(path.read_bytes())
        assert fragment.decode_time == at
        assert fragment.duration == segment.duration_ticks == segment.frames * AAC_FRAME
        assert abs(at - segment.number * 6 * RATE_HZ) <= AAC_FRAME // 2
        at += fragment.duration
    init = cmaf.read_init(made.init_path.read_bytes())
    assert (init.codec, init.timescale, init.channels) == ("mp4a.40.2", RATE_HZ, 1)


def test_segment_borders_never_wander_from_the_grid() -> None:
    for number in range(2000):
        off = segment_start(number, GRID) * AAC_FRAME - number * 6 * RATE_HZ
        assert abs(off) <= AAC_FRAME // 2


def test_quiet_sound_is_lifted_to_the_target(tmp_path: Path) -> None:
    source = tmp_path / "quiet.mkv"
    track = make_source(source, tone(0.02), spans_ms=((0, 6000),))
    made = encoded(source, track, make_video(length_ms=6000))
    assert made.loudness_lufs + made.gain_db == pytest.approx(-16.0, abs=0.1)
    # A sine's loudness is its level: -16 LUFS of mono at 997 Hz has a peak of -13 dB.
    assert 20 * math.log10(max(samples_of(made)) / 1000) == pytest.approx(-13, abs=0.5)


def test_loud_peaks_cap_the_gain_instead_of_being_clipped(tmp_path: Path) -> None:
    source = tmp_path / "peaks.mkv"
    quiet, loud = tone(0.05), tone(0.8)

    def wave(time: float) -> float:
        # A swell of 20 ms without a corner: its true peak is its level.
        swell = math.sin(math.pi * (time - 0.5) / 0.02) ** 2 if 0.5 < time < 0.52 else 0
        return loud(time) * swell if swell else quiet(time)

    track = make_source(source, wave, spans_ms=((0, 6000),))
    made = encoded(source, track, make_video(length_ms=6000))
    assert made.loudness_lufs < -20
    assert made.gain_db == pytest.approx(-1 - 20 * math.log10(0.8), abs=0.3)


def test_silence_stays_silence(tmp_path: Path) -> None:
    source = tmp_path / "silence.mkv"
    track = make_source(source, tone(0.0), spans_ms=((0, 6000),))
    made = encoded(source, track, make_video(length_ms=6000))
    assert made.gain_db == 0
    assert max(samples_of(made)) == 0


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    source = tmp_path / "same.mkv"
    track = make_source(source, tone(0.1), spans_ms=((0, 7000),))
    once = encoded(source, track, make_video(length_ms=7000))
    bodies = [path.read_bytes() for _, path in once.segments]
    again = encoded(source, track, make_video(length_ms=7000))
    assert [path.read_bytes() for _, path in again.segments] == bodies


def test_a_file_that_is_no_media_is_a_failed_attempt_with_a_code(tmp_path: Path) -> None:
    source = tmp_path / "text.mkv"
    source.write_text("no media")
    track = AudioTrack(0, "aac", 1, RATE_HZ, "und", 0, 1000)
    with pytest.raises(MediaFailed) as failed:
        encoded(source, track, None, duration_ms=1000)
    assert failed.value.code == "audio_unreadable"


@pytest.mark.parametrize("damage", [b"\0", bytes.fromhex("aa1004608c3d")])
def test_packets_that_do_not_decode_are_silence_and_move_nothing_after_them(
    damage: bytes, tmp_path: Path
) -> None:
    """The second kind is no InvalidDataError: AAC's decoder says that it is not permitted."""
    source = tmp_path / "source.mp4"
    track = make_source(source, beeps(500, 5000, 12_000), codec="aac")
    content = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        for packet in container.demux(audio=0):
            if packet.pos is not None and 4900 <= (packet.pts or 0) * 1000 // RATE_HZ < 5900:
                content[packet.pos : packet.pos + packet.size] = damage.ljust(packet.size, b"\0")[
                    : packet.size
                ]
    source.write_bytes(content)
    made = encoded(source, track, make_video())
    assert_near(starts_ms(made), [500, 12_000])
    assert sum(segment.frames for segment, _ in made.segments) == round(13_000 * 48 / AAC_FRAME)
