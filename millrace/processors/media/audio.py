"""Encode a whole audio track in one run, on the video's timeline and at one loudness (TRN-8).

AAC encoded per chunk drifts 192 ms in six chunks, with a click at each joint; so audio is never
cut before it is encoded. This module must never trust a stream's length or let samples follow each
other where timestamps say there is a gap: each sample lies where its timestamp puts it.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.error import BlockingIOError as AgainError
from av.error import EOFError as EndError
from av.filter import Graph
from av.filter.context import FilterContext
from av.packet import Packet

from millrace.processors.media.failures import MediaFailed, Refused
from millrace.processors.media.segments import SegmentWriter, open_encoder_container
from millrace.processors.media.source import opened
from millrace.schemas.events import AudioTrack, Grid, SegmentMade, VideoTrack

SAMPLE_RATE_HZ = 48_000
"""Rate of every audio rendition, and its timescale."""

LOUDNESS_TARGET_LUFS = -16.0
"""Integrated loudness that renditions are brought to: the level AES TD1008 and EBU R128 s2 give
for streaming to devices without much headroom."""

TRUE_PEAK_MAX_DBTP = -1.0
"""No gain lifts a peak above this (EBU R128 and AES TD1008)."""

_LAYOUTS = {1: "mono", 2: "stereo"}

_PEAK_NONE_DBTP = -120.0

_LOUDNESS_SILENT_LUFS = -69.0
"""ebur128 says -70 where its gate passed nothing: there is nothing to bring to a level."""

FRAME_SAMPLES = 1024
"""Samples in an AAC-LC frame."""

_DRIFT_MAX = Fraction(1, 50)
"""How far, in seconds, samples may lie from where their timestamps put them before a gap is
filled or an overlap cut: more than the rounding of any container, less than half of what
TRN-12 allows."""


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """What a track became.

    `codec` is an RFC 6381 string; `loudness_lufs` is the source's, before `gain_db`; durations of
    the segments are in samples.
    """

    codec: str
    channels: int
    sample_rate_hz: int
    init_path: Path
    segments: tuple[tuple[SegmentMade, Path], ...]
    loudness_lufs: float
    gain_db: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a track goes: its start on the source's clock, in seconds, and its length in samples.

    The length is the whole number of AAC frames that ends nearest to the end of the video.
    """

    zero: Fraction
    frames: int

    @property
    def samples(self) -> int:
        return self.frames * FRAME_SAMPLES


def encode_audio(
    path: Path,
    track: AudioTrack,
    video: VideoTrack | None,
    grid: Grid,
    duration_ms: int,
    bitrate_bps: int,
    out_dir: Path,
) -> EncodedAudio:
    """Encode a track of the original at `path` as AAC into out_dir.

    Sample 0 is heard with the first shown video frame (audio only: is the first sample). Segments
    are cut at the AAC frame nearest to each grid point; the end is cut, or padded with silence, to
    the video's end within one AAC frame. Raises MediaFailed with `audio_unreadable`,
    `segment_hole`, `init_differs`, `segment_wrong` or `encode_failed`.
    """
    cpu_before = _cpu_seconds()
    out_dir.mkdir(parents=True, exist_ok=True)
    try:
        line = _line(path, track, video, duration_ms)
        channels = min(2, track.channels)
        loudness, peak = _measure(path, track, line, channels)
        gain = _gain_db(loudness, peak)
        steps = [
            ("atrim", f"end_sample={line.samples}"),
            ("apad", f"whole_len={line.samples}"),
            ("volume", f"{gain}dB:precision=float"),
            ("asetnsamples", str(FRAME_SAMPLES)),
        ]
        frames = _filtered(_on_line(path, track, line, channels), channels, steps)
        writer = _encode(frames, grid, line, channels, bitrate_bps, out_dir)
    except (MediaFailed, AssertionError):
        raise
    except Refused as refused:  # it was probed: what can't be read now is not what was uploaded
        raise MediaFailed("audio_unreadable", f"{path.name}: {refused.code}") from refused
    except Exception as error:  # libraries raise far more than FFmpegError on damaged input
        raise MediaFailed("encode_failed", f"audio {track.stream_index}: {error!r}") from error
    return EncodedAudio(
        codec=writer.track.codec,
        channels=channels,
        sample_rate_hz=SAMPLE_RATE_HZ,
        init_path=writer.init_path,
        segments=tuple(writer.segments),
        loudness_lufs=loudness,
        gain_db=gain,
        cpu_seconds=_cpu_seconds() - cpu_before,
    )


def segment_start(number: int, grid: Grid) -> int:
    """Number of the AAC frame that segment `number` starts with: the nearest to the grid point."""
    at_samples = number * grid.segment_ms * SAMPLE_RATE_HZ // 1000
    return (2 * at_samples + FRAME_SAMPLES) // (2 * FRAME_SAMPLES)


def _gain_db(loudness_lufs: float, true_peak_dbtp: float) -> float:
    """Static gain to the target, capped so that no peak passes the maximum; 0 for silence."""
    if loudness_lufs <= _LOUDNESS_SILENT_LUFS:
        return 0.0
    wanted = LOUDNESS_TARGET_LUFS - loudness_lufs
    return round(min(wanted, TRUE_PEAK_MAX_DBTP - true_peak_dbtp), 2)


def _line(path: Path, track: AudioTrack, video: VideoTrack | None, duration_ms: int) -> _Line:
    if video is None:
        zero, length = _first_sample_at(path, track), Fraction(duration_ms, 1000)
    else:
        time_base = Fraction(video.time_base_num, video.time_base_den)
        zero = video.start_pts * time_base
        length = (video.end_pts - video.start_pts) * time_base
    nearest = round(length * SAMPLE_RATE_HZ / FRAME_SAMPLES)
    return _Line(zero, max(1, nearest))


def _first_sample_at(path: Path, track: AudioTrack) -> Fraction:
    for frame in _decoded(path, track):
        return _time(frame) or Fraction(0)
    raise MediaFailed("audio_unreadable", f"audio {track.stream_index} has no sample")


def _measure(path: Path, track: AudioTrack, line: _Line, channels: int) -> tuple[float, float]:
    """Integrated loudness (LUFS) and true peak (dBTP) of what would be encoded without gain."""
    loudness, peak = -70.0, 0.0
    steps = [("ebur128", "metadata=1:peak=true")]
    for frame in _filtered(_on_line(path, track, line, channels), channels, steps):
        loudness = float(frame.metadata.get("lavfi.r128.I", loudness))
        peak = max(peak, float(frame.metadata.get("lavfi.r128.true_peak", peak)))
    return loudness, 20 * math.log10(peak) if peak > 0 else _PEAK_NONE_DBTP


def _encode(
    frames: Iterator[AudioFrame],
    grid: Grid,
    line: _Line,
    channels: int,
    bitrate_bps: int,
    out_dir: Path,
) -> SegmentWriter:
    """Encode frames of 1024 samples from sample 0 on, and write each segment as it is full."""
    container = open_encoder_container()
    stream = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout=_LAYOUTS[channels])
    assert isinstance(stream, AudioStream), "aac is audio"
    stream.bit_rate = bitrate_bps
    stream.codec_context.thread_count = 1
    container.start_encoding()
    writer = SegmentWriter(stream, SAMPLE_RATE_HZ, out_dir)
    number = 0
    gathered: list[Packet[Any]] = []
    for packet in _encoded(stream, frames):
        border = min(segment_start(number + 1, grid), line.frames)
        gathered.append(packet)
        if packet.pts == (border - 1) * FRAME_SAMPLES:
            writer.write(number, gathered, border * FRAME_SAMPLES)
            number, gathered = number + 1, []
    container.close()
    made = sum(segment.frames for segment, _ in writer.segments)
    if made != line.frames or gathered:
        raise MediaFailed("frames_differ", f"{made} AAC frames of {line.frames}")
    return writer


def _encoded(stream: AudioStream, frames: Iterator[AudioFrame]) -> Iterator[Packet[Any]]:
    """Packets from sample 0 on. The priming packet before it is dropped: with it, and without an
    edit list, the sound is 21 ms late."""
    for frame in chain(frames, (None,)):
        for packet in stream.codec_context.encode(frame):
            if packet.pts is not None and packet.pts >= 0:
                yield packet


def _filtered(
    frames: Iterator[AudioFrame], channels: int, steps: list[tuple[str, str]]
) -> Iterator[AudioFrame]:
    """Send frames of the rendition's rate and layout through filters."""
    graph = Graph()
    graph.threads = 1
    source = node = graph.add(
        "abuffer",
        f"sample_rate={SAMPLE_RATE_HZ}:sample_fmt=fltp:channel_layout={_LAYOUTS[channels]}"
        f":time_base=1/{SAMPLE_RATE_HZ}",
    )
    for name, arguments in [*steps, ("abuffersink", None)]:
        following = graph.add(name, arguments)
        node.link_to(following)
        node = following
    graph.configure()
    for frame in chain(frames, (None,)):
        source.push(frame)
        while (ready := _take(node)) is not None:
            yield ready


def _on_line(path: Path, track: AudioTrack, line: _Line, channels: int) -> Iterator[AudioFrame]:
    """Samples of the track from the line's zero on, without a gap, at the rendition's rate.

    A source that changes its rate or layout half-way (broadcast TS) gets a new resampler there.
    """
    resampler: AudioResampler | None = None
    shape: tuple[str, str, int] | None = None
    at = 0
    for frame in chain(_placed(path, track, line), (None,)):
        turned: list[AudioFrame] = []
        if resampler is not None and (frame is None or shape != _shape(frame)):
            turned += resampler.resample(None)
            resampler = None
        if frame is not None and resampler is None:
            resampler = AudioResampler("fltp", _LAYOUTS[channels], SAMPLE_RATE_HZ)
            shape = _shape(frame)
        if frame is not None and resampler is not None:
            turned += resampler.resample(frame)
        for ready in turned:
            ready.pts, ready.time_base = at, Fraction(1, SAMPLE_RATE_HZ)
            at += ready.samples
            yield ready


def _placed(path: Path, track: AudioTrack, line: _Line) -> Iterator[AudioFrame]:
    """Decoded frames with silence where nothing is, and without what is early or doubled."""
    at = Fraction(0)
    end = Fraction(line.samples, SAMPLE_RATE_HZ)
    started = False
    for frame in _decoded(path, track):
        rate = frame.sample_rate
        time = _time(frame)
        ahead = Fraction(0) if time is None else time - line.zero - at
        if started and abs(ahead) <= _DRIFT_MAX:
            ahead = Fraction(0)
        # A timestamp that jumps far ahead fills the line with silence, and not a disk.
        gap = round(min(ahead, end - at) * rate)
        for piece in _silence(frame, gap):
            at += Fraction(piece.samples, rate)
            yield piece
        kept = _without_head(frame, max(0, -gap))
        if kept is not None:
            started = True
            at += Fraction(kept.samples, rate)
            kept.pts = None
            yield kept
        if at >= end:
            return


def _silence(like: AudioFrame, samples: int) -> Iterator[AudioFrame]:
    """Frames of silence in the format of `like`, at most a second each."""
    while samples > 0:
        count = min(samples, like.sample_rate)
        frame = AudioFrame(like.format.name, like.layout.name, count)
        frame.sample_rate = like.sample_rate
        zero = b"\x80" if like.format.name in ("u8", "u8p") else b"\0"
        for plane in frame.planes:
            plane.update(zero * plane.buffer_size)
        samples -= count
        yield frame


def _without_head(frame: AudioFrame, samples: int) -> AudioFrame | None:
    """The frame without its first `samples`; None where nothing is left."""
    if samples <= 0:
        return frame
    if samples >= frame.samples:
        return None
    rest = AudioFrame(frame.format.name, frame.layout.name, frame.samples - samples)
    rest.sample_rate = frame.sample_rate
    step = frame.format.bytes * (1 if frame.format.is_planar else frame.layout.nb_channels)
    for old, new in zip(frame.planes, rest.planes, strict=True):
        head = samples * step
        new.update(bytes(old)[head : head + new.buffer_size])
    return rest


def _decoded(path: Path, track: AudioTrack) -> Iterator[AudioFrame]:
    """Decode the track; a packet that does not decode leaves a gap, which becomes silence."""
    with opened(path) as container:
        stream = container.streams[track.stream_index]
        assert isinstance(stream, AudioStream), "an audio track names an audio stream"
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            yield from _frames_of(packet)


def _frames_of(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """The frames that a packet gives; none where it is damaged, as the next one may not be."""
    try:
        return packet.decode()
    except Exception:  # noqa: BLE001 - any exception means: this packet gives no sample
        return []


def _shape(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _time(frame: AudioFrame) -> Fraction | None:
    """Time of the frame's first sample in seconds; None where it has no timestamp."""
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _take(sink: FilterContext) -> AudioFrame | None:
    try:
        frame = sink.pull()
    except (AgainError, EndError):
        return None
    assert isinstance(frame, AudioFrame), "an audio graph gives audio"
    return frame


def _cpu_seconds() -> float:
    """CPU time of this process: what an encode cost, never what it decides by."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
