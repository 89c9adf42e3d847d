"""Probing: what an original is, by its bytes (TRN-1), and whether it may go on (ING-8).

One pass over all packets and a decode of the first frames. It must never believe a header where
packets can be counted, and never decode more than it needs to see that decoding works: absurd
files are told by their packets, before any work is planned.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from millrace.processors.media import picture, rate
from millrace.processors.media.decode_order import TrackFacts, broken_timestamps
from millrace.processors.media.failures import Refused
from millrace.processors.media.mp4_header import Claims, read_claims
from millrace.processors.media.source import (
    Packet,
    decoder_of,
    is_hidden,
    is_transport_stream,
    opened,
    packets,
)
from millrace.processors.media.timeline import TIMESCALE_VARIABLE
from millrace.schemas.events import AudioTrack, VideoTrack

MISSING_MS_MAX = 1000
"""A header may promise this much more than its packets hold, or half a percent of its promise:
muxers round, and a track of captions may end late. Beyond that the file is truncated."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source may be at most; the defaults are what one worker can bear (ING-8).

    `pixels_max` is width times height (8192x4320, which is less than 8192x8192: 320 MB and 2 s of
    decoding from 199 KB), `frame_rate_max` frames a second on average, `frames_max` shown frames,
    `streams_max` streams of any kind, `duration_ms_max` the length of the timeline.
    """

    pixels_max: int = 8192 * 4320
    frame_rate_max: int = 300
    frames_max: int = 3_000_000
    streams_max: int = 32
    duration_ms_max: int = 12 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Probed:
    """What a source is: demuxer's name, length of its timeline, mean rate, and its tracks."""

    container: str
    duration_ms: int
    bitrate_bps: int
    video: VideoTrack | None
    audio: tuple[AudioTrack, ...]


@dataclass(slots=True)
class _Span:
    """First and last moment that the packets of a stream cover, in its time base."""

    first: int | None = None
    end: int = 0

    def add(self, packet: Packet) -> None:
        moment = packet.pts if packet.pts is not None else packet.dts
        if moment is None:
            return
        self.first = moment if self.first is None else min(self.first, moment)
        self.end = max(self.end, moment + (packet.duration or 0))

    def length(self) -> int:
        return 0 if self.first is None else self.end - self.first


@dataclass(slots=True)
class _Survey:
    """Everything that one pass over the packets told."""

    spans: dict[int, _Span] = field(default_factory=dict)
    video: TrackFacts = field(default_factory=TrackFacts)


def probe(path: Path, limits: Limits) -> Probed:
    """What the file at `path` is.

    Raises Refused with one of: empty_file, not_a_video, too_many_streams, no_tracks, encrypted,
    frame_too_large, too_many_frames, frame_rate_too_high, too_long, truncated,
    damaged_header, broken_timestamps, undecodable. Raises OSError where the file can't be read.
    """
    with opened(path) as container:
        video = _video_stream(container, limits)
        survey = _survey(container, video, limits)
        _refuse_missing(container, survey, _claims(path, container))
        audio = [stream for stream in container.streams.audio if _is_heard(stream, survey)]
        track = None if video is None else _video_track(path, container, video, survey, limits)
        if track is None and not audio:
            raise Refused("no_tracks", "The file holds neither pictures nor sound.")
        zero = _seconds(track.start_pts, video) if track is not None and video is not None else None
        sounds = tuple(_audio_track(stream, survey, zero) for stream in audio)
        name = container.format.name
    if track is not None:
        tick = Fraction(track.time_base_num, track.time_base_den)
        duration_ms = round((track.end_pts - track.start_pts) * tick * 1000)
    else:
        duration_ms = max(sound.duration_ms for sound in sounds)
    if duration_ms > limits.duration_ms_max:
        raise Refused("too_long", "The video is longer than videos may be here.")
    bitrate_bps = path.stat().st_size * 8 * 1000 // max(1, duration_ms)
    return Probed(name, duration_ms, bitrate_bps, track, sounds)


def _seconds(pts: int, stream: Stream) -> Fraction:
    return pts * _time_base(stream)


def _time_base(stream: Stream) -> Fraction:
    if not stream.time_base:
        raise broken_timestamps()
    return stream.time_base


def _video_stream(container: InputContainer, limits: Limits) -> VideoStream | None:
    """The stream that is the picture: the first that is no cover art; None where there is none."""
    if len(container.streams) > limits.streams_max:
        raise Refused("too_many_streams", "The file holds more tracks than a video needs.")
    for stream in container.streams.video:
        if _is_cover_art(stream):
            continue
        # An encrypted track names its cipher's wrapper instead of its codec.
        decoder = decoder_of(stream)
        if decoder is not None and decoder.codec_tag == "encv":
            raise Refused("encrypted", "The video is encrypted, so it can't be read.")
        if decoder is None:
            raise Refused("undecodable", "The video's codec is not supported.")
        picture.refuse_large(stream.codec_context.width, stream.codec_context.height, limits)
        return stream
    return None


def _is_cover_art(stream: Stream) -> bool:
    """A picture that belongs to a song; FFmpeg gives it the song's length and one packet."""
    return bool(stream.disposition & Disposition.attached_pic)


def _survey(container: InputContainer, video: VideoStream | None, limits: Limits) -> _Survey:
    """One pass over all packets, broken off at the first limit that they pass."""
    survey = _Survey()
    transport = is_transport_stream(container)
    for packet in packets(container):
        survey.spans.setdefault(packet.stream_index, _Span()).add(packet)
        if video is None or packet.stream_index != video.index:
            continue
        if packet.is_corrupt and not transport:
            raise Refused(
                "truncated", "The file breaks off or is damaged: a part of the video is missing."
            )
        hidden = is_hidden(container, video.codec_context.name, packet)
        facts = survey.video
        facts.add(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, hidden)
        if len(facts.shown) > limits.frames_max:
            raise Refused("too_many_frames", "The video has more frames than videos may have here.")
    return survey


def _claims(path: Path, container: InputContainer) -> Claims:
    """What the header says of itself. Raises Refused `damaged_header` where it contradicts itself.

    A track's length is the sum of its samples' by definition; edit lists change neither.
    """
    claims = read_claims(path) if container.format.name.startswith("mov") else None
    for track in claims.tracks if claims is not None else ():
        if track.timed_samples == 0:
            continue
        contradiction = track.timed_samples != track.sized_samples
        if contradiction or track.duration > 2 * track.timed_duration:
            raise Refused(
                "damaged_header", "The file's header contradicts itself: it is damaged or made up."
            )
    return claims or Claims(Fraction(0), ())


def _refuse_missing(container: InputContainer, survey: _Survey, claims: Claims) -> None:
    """Hold the lengths that the header promises against what the packets cover."""
    if is_transport_stream(container):
        return
    covered = [
        (_seconds(span.end, stream), _seconds(span.length(), stream))
        for stream in container.streams
        if (span := survey.spans.get(stream.index)) is not None
    ]
    reached = max((max(both) for both in covered), default=Fraction(0))
    promises = [(Fraction(container.duration or 0, av.time_base), reached)]
    promises.append((claims.duration_s, reached))
    for stream in container.streams:
        if stream.type in ("video", "audio") and stream.duration and not _is_cover_art(stream):
            span = survey.spans.get(stream.index, _Span())
            length = max(span.length(), span.end)
            promises.append((_seconds(stream.duration, stream), _seconds(length, stream)))
    for promised, there in promises:
        if (promised - there) * 1000 > max(Fraction(MISSING_MS_MAX), promised * 5):
            raise Refused(
                "truncated",
                f"The file promises {float(promised):.1f} s of video, "
                f"but only {float(there):.1f} s of it are there.",
            )


def _video_track(
    path: Path, container: InputContainer, stream: VideoStream, survey: _Survey, limits: Limits
) -> VideoTrack:
    facts = survey.video
    shown = sorted(set(facts.shown))
    if not shown:
        raise Refused("undecodable", "The file holds no picture that can be shown.")
    time_base = _time_base(stream)
    declared = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    frame_rate, end_pts, constant = _rate_of(shown, facts, time_base, declared)
    if frame_rate > limits.frame_rate_max:
        raise Refused(
            "frame_rate_too_high",
            f"The video has {round(frame_rate)} frames a second; that is "
            f"more than the {limits.frame_rate_max} that videos may have here.",
        )
    look = picture.look_at(path, stream.index, shown[0], limits)
    return VideoTrack(
        stream_index=stream.index,
        codec=look.codec,
        width=look.width,
        height=look.height,
        rotation_deg=look.rotation_deg,
        sar_num=look.sar.numerator,
        sar_den=look.sar.denominator,
        rate_num=frame_rate.numerator,
        rate_den=frame_rate.denominator,
        constant_rate=constant,
        time_base_num=time_base.numerator,
        time_base_den=time_base.denominator,
        start_pts=shown[0],
        end_pts=end_pts,
        frames=len(shown),
        gop_ms_max=round(facts.key_distance_max(end_pts) * time_base * 1000),
        reorder_pts=facts.reorder_pts,
        pixel_format=look.pixel_format,
        color_primaries=look.color_primaries,
        color_transfer=look.color_transfer,
        color_matrix=look.color_matrix,
        color_range=look.color_range,
        field_order=look.field_order,
    )


def _rate_of(
    shown: list[int],
    facts: TrackFacts,
    time_base: Fraction,
    declared: Iterable[Fraction | None],
) -> tuple[Fraction, int, bool]:
    """(frames a second, where the last frame ends, whether the rate is constant)."""
    constant = rate.constant_rate(shown, time_base, declared)
    if constant is not None:
        return constant, shown[0] + round(len(shown) / (constant * time_base)), True
    closest = rate.closest_frames(shown)
    last = facts.last_duration or closest or max(1, round(1 / (25 * time_base)))
    # A last frame shorter than a tick of the output would have no place in it.
    end_pts = shown[-1] + max(last, ceil(1 / (TIMESCALE_VARIABLE * time_base)))
    return rate.mean_rate(shown, end_pts, time_base), end_pts, False


def _is_heard(stream: Stream, survey: _Survey) -> bool:
    """Whether an audio stream has packets and a decoder; a track without is as good as absent."""
    span = survey.spans.get(stream.index)
    return decoder_of(stream) is not None and span is not None and span.length() > 0


def _audio_track(stream: av.AudioStream, survey: _Survey, zero: Fraction | None) -> AudioTrack:
    """An audio track on the video's timeline; audio only begins at its own first sample."""
    span = survey.spans[stream.index]
    start = _seconds(span.first or 0, stream)
    return AudioTrack(
        stream_index=stream.index,
        codec=stream.codec_context.name,
        channels=stream.channels,
        sample_rate_hz=stream.sample_rate,
        language=stream.language or "und",
        start_ms=round((start - (start if zero is None else zero)) * 1000),
        duration_ms=round(_seconds(span.length(), stream) * 1000),
    )
