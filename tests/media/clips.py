"""Sources for the tests, generated: every frame carries its number, every second a flash and beep.

The number is burnt in as black and white blocks that any encoder keeps at any size, so a test can
say which frame it sees. This module must never be clever about timing: a clip is given the
timestamp of each frame and writes exactly those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 180
NUMBER_BITS = 16
BLOCKS_A_ROW = 8
SAMPLE_RATE_HZ = 48_000
BEEP_HZ = 1000
BEEP_SAMPLES = SAMPLE_RATE_HZ // 20

FAST = {"preset": "ultrafast", "threads": "1"}
X264_OPEN = FAST | {
    "x264-params": "open-gop=1:bframes=3:b-adapt=0:keyint=30:min-keyint=30:scenecut=0:"
    "rc-lookahead=10"
}
X264_BFRAMES = FAST | {"x264-params": "bframes=3:b-adapt=0:scenecut=0"}
X265_OPEN = {
    "preset": "ultrafast",
    "x265-params": "open-gop=1:bframes=3:b-adapt=0:keyint=30:min-keyint=30:scenecut=0:"
    "log-level=none:pools=1:frame-threads=1",
}
VP8 = {"deadline": "realtime", "cpu-used": "8", "threads": "1"}
VP9 = VP8 | {"auto-alt-ref": "1"}


@dataclass(frozen=True)
class Clip:
    """A source to generate. `pts` are in `time_base`, one a frame; flashes follow their time.

    The first `black` frames are black and carry no number. `colour` is the code point (H.273) of
    all three colour tags.
    """

    name: str
    pts: Sequence[int]
    time_base: Fraction
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: dict(X264_BFRAMES))
    rate: Fraction | None = None
    gop: int = 50
    size: tuple[int, int] = (WIDTH, HEIGHT)
    beeps: bool = False
    mux: dict[str, str] = field(default_factory=dict)
    rotation_deg: int = 0
    black: int = 0
    colour: int | None = None


def constant(rate: Fraction, seconds: int, time_base: Fraction | None = None) -> list[int]:
    """Timestamps of `seconds` at `rate`, rounded to `time_base` (else exact, in 1 / rate)."""
    frames = int(rate * seconds)
    if time_base is None:
        return list(range(frames))
    return [round(index / rate / time_base) for index in range(frames)]


def numbered_frame(number: int, flash: bool, size: tuple[int, int] = (WIDTH, HEIGHT)) -> VideoFrame:
    """A frame that shows its number in its upper half, and white in its lower half on a flash."""
    width, height = size
    luma = np.full((height, width), 128, dtype=np.uint8)
    luma[:, :] = 60 + (np.arange(width, dtype=np.uint32) + 3 * number) % 64
    block_width, block_height = width // BLOCKS_A_ROW, height // 4
    for bit in range(NUMBER_BITS):
        row, column = divmod(bit, BLOCKS_A_ROW)
        top, left = row * block_height, column * block_width
        level = 235 if number >> bit & 1 else 16
        luma[top : top + block_height, left : left + block_width] = level
    luma[height // 2 :, : width // 2] = 235 if flash else 16
    chroma = np.full((height // 2, width), 128, dtype=np.uint8)
    return VideoFrame.from_ndarray(np.vstack([luma, chroma]), format="yuv420p")


def black_frame(size: tuple[int, int]) -> VideoFrame:
    """A frame without light."""
    width, height = size
    planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
    planes[:height] = 16
    return VideoFrame.from_ndarray(planes, format="yuv420p")


def number_of(frame: VideoFrame) -> int:
    """The number burnt into a decoded frame of any size."""
    plane = _luma(frame)
    height, width = plane.shape
    number = 0
    for bit in range(NUMBER_BITS):
        row, column = divmod(bit, BLOCKS_A_ROW)
        y = (2 * row + 1) * (height // 4) // 2
        x = (2 * column + 1) * (width // BLOCKS_A_ROW) // 2
        number |= int(plane[y - 1 : y + 2, x - 1 : x + 2].mean() > 125) << bit
    return number


def flashes(frame: VideoFrame) -> bool:
    """Whether a decoded frame shows the flash that goes with a beep."""
    plane = _luma(frame)
    height, width = plane.shape
    return bool(plane[height * 3 // 4, width // 4] > 125)


def _luma(frame: VideoFrame) -> "NDArray[np.uint8]":
    return frame.to_ndarray(format="gray").astype(np.uint8)


def make(clip: Clip, directory: Path) -> Path:
    """Write the clip and return its path."""
    path = directory / clip.name
    with av.open(str(path), "w", options=clip.mux) as output:
        video = _video_stream(output, clip)
        sound = _sound_stream(output) if clip.beeps else None
        if sound is not None:
            _write_beeps(output, sound, clip)
        _write_frames(output, video, clip)
    return path


def _video_stream(output: OutputContainer, clip: Clip) -> VideoStream:
    stream = output.add_stream(clip.codec, rate=clip.rate, options=dict(clip.options))
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = clip.size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.gop_size = clip.gop
    stream.codec_context.time_base = clip.time_base
    stream.time_base = clip.time_base
    if clip.colour is not None:
        stream.codec_context.color_primaries = clip.colour
        stream.codec_context.color_trc = clip.colour
        stream.codec_context.colorspace = clip.colour
    if clip.rotation_deg:
        stream.set_display_rotation(-clip.rotation_deg)
    return stream


def _write_frames(output: OutputContainer, stream: VideoStream, clip: Clip) -> None:
    second = 1 / clip.time_base
    before = None
    for number, pts in enumerate(clip.pts):
        now = pts // second
        frame = numbered_frame(number, flash=now != before, size=clip.size)
        if number < clip.black:
            frame = black_frame(clip.size)
        frame.pts, frame.time_base = pts, clip.time_base
        output.mux(stream.encode(frame))
        before = now
    output.mux(stream.encode(None))


def _sound_stream(output: OutputContainer) -> AudioStream:
    stream = output.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="stereo")
    assert isinstance(stream, AudioStream)
    return stream


def _write_beeps(output: OutputContainer, stream: AudioStream, clip: Clip) -> None:
    """A short beep at the begin of each second, as long as the pictures last."""
    seconds = int(clip.pts[-1] * clip.time_base) + 1
    time = np.arange(SAMPLE_RATE_HZ * seconds)
    loud = (time % SAMPLE_RATE_HZ) < BEEP_SAMPLES
    wave = (np.sin(2 * np.pi * BEEP_HZ * time / SAMPLE_RATE_HZ) * loud * 0.5).astype(np.float32)
    for start in range(0, len(wave), 1024):
        part = wave[start : start + 1024]
        frame = av.AudioFrame.from_ndarray(np.stack([part, part]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, start
        frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _stills() -> list[int]:
    """Milliseconds of a slide show: bursts of 25 fps between stills of up to 7 seconds."""
    bursts = ((0, 20), (4000, 10), (6000, 1), (13_000, 30), (17_500, 3))
    return [start + 40 * index for start, count in bursts for index in range(count)]


NTSC = Fraction(30_000, 1001)
FILM = Fraction(24_000, 1001)
SMOOTH = Fraction(60_000, 1001)
MS = Fraction(1, 1000)

CLIPS = {
    clip.name: clip
    for clip in (
        Clip("closed-25.mp4", constant(Fraction(25), 8), Fraction(1, 25), beeps=True),
        Clip("ntsc-29.97.mp4", constant(NTSC, 8), 1 / NTSC, beeps=True),
        Clip("film-23.976.mp4", constant(FILM, 8), 1 / FILM),
        Clip("film-23.976.mkv", constant(FILM, 8, MS), MS, rate=FILM),
        Clip("smooth-59.94.mp4", constant(SMOOTH, 8), 1 / SMOOTH),
        Clip("stills.mkv", _stills(), MS),
        Clip(
            "open-h264.mkv", constant(Fraction(30), 8), Fraction(1, 30), options=X264_OPEN, gop=30
        ),
        Clip(
            "open-hevc.mp4",
            constant(Fraction(30), 8),
            Fraction(1, 30),
            codec="libx265",
            options=X265_OPEN,
            gop=30,
        ),
        Clip(
            "offset.ts",
            [90_000 * 600 + pts for pts in constant(NTSC, 8, Fraction(1, 90_000))],
            Fraction(1, 90_000),
            rate=NTSC,
            beeps=False,
        ),
        Clip(
            "edited.mp4",
            [pts - 39 for pts in constant(Fraction(25), 9)],
            Fraction(1, 25),
            mux={"avoid_negative_ts": "disabled", "use_editlist": "1"},
        ),
        Clip("vp9.webm", constant(Fraction(30), 8, MS), MS, codec="libvpx-vp9", options=VP9),
    )
}
"""The sources on which cutting must be exact, frame for frame and in timestamps."""
