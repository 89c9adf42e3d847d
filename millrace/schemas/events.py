"""Generated from avro/*.avsc by `python -m millrace.schemas.generate`. Do not edit.

Frozen dataclasses, one an event or shared type; docs, names and units are the .avsc's.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self


class Event:
    """What happened or what was asked for; KIND says which (event, progress or request)."""

    __slots__ = ()
    NAME: ClassVar[str]
    KIND: ClassVar[str]

    def as_record(self) -> dict[str, Any]:
        """The fields as fastavro writes them."""
        raise NotImplementedError

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """The event from what fastavro read."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """An audio track of a source."""

    # Index of the stream in the container.
    stream_index: int
    # Decoder name, such as aac.
    codec: str
    # Number of channels.
    channels: int
    # Samples a second.
    sample_rate_hz: int
    # ISO 639 code, und where unknown.
    language: str
    # Time of its first sample on the video's timeline, in milliseconds; negative where early.
    start_ms: int
    # Length in milliseconds.
    duration_ms: int

    def as_record(self) -> dict[str, Any]:
        return {
            "stream_index": self.stream_index,
            "codec": self.codec,
            "channels": self.channels,
            "sample_rate_hz": self.sample_rate_hz,
            "language": self.language,
            "start_ms": self.start_ms,
            "duration_ms": self.duration_ms,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            stream_index=record["stream_index"],
            codec=record["codec"],
            channels=record["channels"],
            sample_rate_hz=record["sample_rate_hz"],
            language=record["language"],
            start_ms=record["start_ms"],
            duration_ms=record["duration_ms"],
        )


@dataclass(frozen=True, slots=True)
class AudioRung:
    """One audio rendition of the plan (TRN-8)."""

    # Name of the rendition, such as audio-128.
    name: str
    # The track it is made of.
    track: AudioTrack
    # Target rate in bits a second.
    bitrate_bps: int
    # Digest of all inputs that make the output.
    recipe: str

    def as_record(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "track": self.track.as_record(),
            "bitrate_bps": self.bitrate_bps,
            "recipe": self.recipe,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            name=record["name"],
            track=AudioTrack.from_record(record["track"]),
            bitrate_bps=record["bitrate_bps"],
            recipe=record["recipe"],
        )


@dataclass(frozen=True, slots=True)
class AudioSummary:
    """An audio rendition as it was published."""

    # Name of the rendition, such as audio-128.
    rendition: str
    # RFC 6381 codec string.
    codec: str
    # ISO 639 code, und where unknown.
    language: str
    # Number of channels.
    channels: int
    # Digest in the names of its objects.
    recipe: str
    # Number of segments.
    segments: int
    # Length in milliseconds.
    duration_ms: int
    # Stored bytes, init segment apart.
    size_bytes: int
    # Peak rate of a segment, in bits a second.
    bandwidth_bps: int

    def as_record(self) -> dict[str, Any]:
        return {
            "rendition": self.rendition,
            "codec": self.codec,
            "language": self.language,
            "channels": self.channels,
            "recipe": self.recipe,
            "segments": self.segments,
            "duration_ms": self.duration_ms,
            "size_bytes": self.size_bytes,
            "bandwidth_bps": self.bandwidth_bps,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            rendition=record["rendition"],
            codec=record["codec"],
            language=record["language"],
            channels=record["channels"],
            recipe=record["recipe"],
            segments=record["segments"],
            duration_ms=record["duration_ms"],
            size_bytes=record["size_bytes"],
            bandwidth_bps=record["bandwidth_bps"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRange:
    """What one chunk file shows, in the source's own timestamps; frame-exact (TRN-2)."""

    # Number of the chunk on the grid, from 0; empty cells joined their predecessor, so
    # numbers may be skipped.
    number: int
    # First timestamp that belongs to the chunk, inclusive, in the source's time base.
    lo_pts: int
    # First timestamp that does not, exclusive; null for the last chunk.
    hi_pts: int | None = None
    # Timestamp of the first frame after the chunk, or the end of the track: the joint.
    next_pts: int
    # Constant added to the source's timestamps in the chunk file.
    shift_pts: int
    # Number of the chunk's first segment.
    first_segment: int
    # Grid cells that hold a frame, hence segments to make.
    segments: int
    # Frames the source shows in the range.
    frames: int
    # Timestamps in the file that are never shown (edit lists).
    hidden_pts: tuple[int, ...]

    def as_record(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "lo_pts": self.lo_pts,
            "hi_pts": self.hi_pts,
            "next_pts": self.next_pts,
            "shift_pts": self.shift_pts,
            "first_segment": self.first_segment,
            "segments": self.segments,
            "frames": self.frames,
            "hidden_pts": list(self.hidden_pts),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            number=record["number"],
            lo_pts=record["lo_pts"],
            hi_pts=record["hi_pts"],
            next_pts=record["next_pts"],
            shift_pts=record["shift_pts"],
            first_segment=record["first_segment"],
            segments=record["segments"],
            frames=record["frames"],
            hidden_pts=tuple(record["hidden_pts"]),
        )


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One event that a player reported, clamped and pseudonymised at the gateway (CNT-1)."""

    # Id the client gave, unique within its session: repeats are harmless.
    event_id: str
    # The video.
    video_id: str
    # Pseudonym of the viewer.
    viewer_id: str
    # Playback session.
    session_id: str
    # play, progress, pause, ended, stall or error.
    kind: str
    # Place in the video, in milliseconds.
    position_ms: int
    # Played time of the session so far, in milliseconds of media.
    watched_ms: int
    # The client's clock, clamped to the receipt, in milliseconds of the epoch.
    client_at_ms: int
    # Length of the video as the gateway's read model had it, 0 where unknown.
    duration_ms: int

    def as_record(self) -> dict[str, Any]:
        return {
            "event_id": self.event_id,
            "video_id": self.video_id,
            "viewer_id": self.viewer_id,
            "session_id": self.session_id,
            "kind": self.kind,
            "position_ms": self.position_ms,
            "watched_ms": self.watched_ms,
            "client_at_ms": self.client_at_ms,
            "duration_ms": self.duration_ms,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            event_id=record["event_id"],
            video_id=record["video_id"],
            viewer_id=record["viewer_id"],
            session_id=record["session_id"],
            kind=record["kind"],
            position_ms=record["position_ms"],
            watched_ms=record["watched_ms"],
            client_at_ms=record["client_at_ms"],
            duration_ms=record["duration_ms"],
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """The fixed grid of a video's timeline: segments, keyframes and chunks (TRN-2)."""

    # Ticks a second of the output's media timeline.
    timescale: int
    # Length of a segment on the grid, in milliseconds.
    segment_ms: int
    # Distance of forced keyframes on the grid, in milliseconds.
    keyframe_ms: int
    # Segments in a chunk.
    chunk_segments: int

    def as_record(self) -> dict[str, Any]:
        return {
            "timescale": self.timescale,
            "segment_ms": self.segment_ms,
            "keyframe_ms": self.keyframe_ms,
            "chunk_segments": self.chunk_segments,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            timescale=record["timescale"],
            segment_ms=record["segment_ms"],
            keyframe_ms=record["keyframe_ms"],
            chunk_segments=record["chunk_segments"],
        )


@dataclass(frozen=True, slots=True)
class JournalRun:
    """Consecutive records of one input, folded in order."""

    # Topic.
    topic: str
    # First offset.
    first: int
    # Last offset, inclusive.
    last: int

    def as_record(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "first": self.first,
            "last": self.last,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            topic=record["topic"],
            first=record["first"],
            last=record["last"],
        )


@dataclass(frozen=True, slots=True)
class ObjectDigest:
    """A stored object and what it was verified to hold."""

    # Key of the object.
    key: str
    # Size in bytes.
    size_bytes: int
    # ETag the store gave.
    etag: str

    def as_record(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "size_bytes": self.size_bytes,
            "etag": self.etag,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            key=record["key"],
            size_bytes=record["size_bytes"],
            etag=record["etag"],
        )


@dataclass(frozen=True, slots=True)
class SegmentRun:
    """Consecutive segments of equal duration."""

    # How many segments.
    count: int
    # Duration of each, in ticks.
    duration_ticks: int

    def as_record(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "duration_ticks": self.duration_ticks,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            count=record["count"],
            duration_ticks=record["duration_ticks"],
        )


@dataclass(frozen=True, slots=True)
class PlaylistRendition:
    """What a playlist says of one rendition whose first segments are there."""

    # Name of the rung or of the audio rendition.
    name: str
    # Width in pixels; 0 for audio.
    width: int
    # Height in pixels; 0 for audio.
    height: int
    # RFC 6381 codec string.
    codec: str
    # ISO 639 code of an audio rendition, und where unknown; empty for video.
    language: str
    # Channels of an audio rendition; 0 for video.
    channels: int
    # Sample rate of an audio rendition; 0 for video.
    sample_rate_hz: int
    # Digest in the names of its objects.
    recipe: str
    # Ticks a second.
    timescale: int
    # Frames a second of a video rendition; 0 for audio.
    frame_rate: float
    # Durations of the segments, from the first on, without a hole.
    runs: tuple[SegmentRun, ...]
    # Peak rate of a segment, in bits a second.
    bandwidth_bps: int
    # Mean rate, in bits a second.
    average_bps: int
    # True where no segment is to come.
    complete: bool

    def as_record(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "codec": self.codec,
            "language": self.language,
            "channels": self.channels,
            "sample_rate_hz": self.sample_rate_hz,
            "recipe": self.recipe,
            "timescale": self.timescale,
            "frame_rate": self.frame_rate,
            "runs": [item.as_record() for item in self.runs],
            "bandwidth_bps": self.bandwidth_bps,
            "average_bps": self.average_bps,
            "complete": self.complete,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            name=record["name"],
            width=record["width"],
            height=record["height"],
            codec=record["codec"],
            language=record["language"],
            channels=record["channels"],
            sample_rate_hz=record["sample_rate_hz"],
            recipe=record["recipe"],
            timescale=record["timescale"],
            frame_rate=record["frame_rate"],
            runs=tuple(SegmentRun.from_record(item) for item in record["runs"]),
            bandwidth_bps=record["bandwidth_bps"],
            average_bps=record["average_bps"],
            complete=record["complete"],
        )


@dataclass(frozen=True, slots=True)
class Position:
    """A place on the log."""

    # Topic.
    topic: str
    # Partition.
    partition: int
    # Offset.
    offset: int

    def as_record(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            topic=record["topic"],
            partition=record["partition"],
            offset=record["offset"],
        )


@dataclass(frozen=True, slots=True)
class RenditionSummary:
    """A rendition as it was published."""

    # Name of the rung.
    rung: str
    # Width in pixels.
    width: int
    # Height in pixels.
    height: int
    # RFC 6381 codec string.
    codec: str
    # Digest in the names of its objects.
    recipe: str
    # Number of segments.
    segments: int
    # Number of frames.
    frames: int
    # Length in milliseconds.
    duration_ms: int
    # Stored bytes, init segment apart.
    size_bytes: int
    # Peak rate of a segment, in bits a second.
    bandwidth_bps: int

    def as_record(self) -> dict[str, Any]:
        return {
            "rung": self.rung,
            "width": self.width,
            "height": self.height,
            "codec": self.codec,
            "recipe": self.recipe,
            "segments": self.segments,
            "frames": self.frames,
            "duration_ms": self.duration_ms,
            "size_bytes": self.size_bytes,
            "bandwidth_bps": self.bandwidth_bps,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            rung=record["rung"],
            width=record["width"],
            height=record["height"],
            codec=record["codec"],
            recipe=record["recipe"],
            segments=record["segments"],
            frames=record["frames"],
            duration_ms=record["duration_ms"],
            size_bytes=record["size_bytes"],
            bandwidth_bps=record["bandwidth_bps"],
        )


@dataclass(frozen=True, slots=True)
class Rung:
    """One video rendition of the ladder (TRN-4)."""

    # Name of the rung, such as 480p.
    name: str
    # Width of the encoded picture, even, in square pixels.
    width: int
    # Height of the encoded picture, even.
    height: int
    # Encoder, such as libx264.
    codec: str
    # Encoder preset.
    preset: str
    # Constant rate factor.
    crf: float
    # Peak rate of the decoder buffer model, in bits a second.
    maxrate_bps: int
    # Size of the decoder buffer model, in bits.
    bufsize_bits: int
    # Encode group: one decode feeds the rungs of a group; group 0 is the lowest rung's own
    # pass.
    group: int
    # True where the group is the lowest rung's own pass, whose decoding may leave deblocking
    # out.
    own_pass: bool
    # Digest of all inputs that make the output: source, rung, grid, toolchain.
    recipe: str

    def as_record(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "codec": self.codec,
            "preset": self.preset,
            "crf": self.crf,
            "maxrate_bps": self.maxrate_bps,
            "bufsize_bits": self.bufsize_bits,
            "group": self.group,
            "own_pass": self.own_pass,
            "recipe": self.recipe,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            name=record["name"],
            width=record["width"],
            height=record["height"],
            codec=record["codec"],
            preset=record["preset"],
            crf=record["crf"],
            maxrate_bps=record["maxrate_bps"],
            bufsize_bits=record["bufsize_bits"],
            group=record["group"],
            own_pass=record["own_pass"],
            recipe=record["recipe"],
        )


@dataclass(frozen=True, slots=True)
class SegmentMade:
    """A media segment that is stored and was verified."""

    # Number of the segment, from 0.
    number: int
    # Exact duration, in ticks of the grid's timescale.
    duration_ticks: int
    # Size in bytes.
    size_bytes: int
    # Samples in the segment.
    frames: int

    def as_record(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "duration_ticks": self.duration_ticks,
            "size_bytes": self.size_bytes,
            "frames": self.frames,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            number=record["number"],
            duration_ticks=record["duration_ticks"],
            size_bytes=record["size_bytes"],
            frames=record["frames"],
        )


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """The video track of a source as its packets show it, before any work is planned (TRN-1)."""

    # Index of the stream in the container.
    stream_index: int
    # Decoder name, such as h264.
    codec: str
    # Coded width in pixels, before rotation and sample aspect ratio.
    width: int
    # Coded height in pixels, before rotation and sample aspect ratio.
    height: int
    # Clockwise rotation to apply for display: 0, 90, 180 or 270.
    rotation_deg: int
    # Sample aspect ratio, numerator (1 where square).
    sar_num: int
    # Sample aspect ratio, denominator (1 where square).
    sar_den: int
    # Frame rate, numerator; the average where the rate is not constant.
    rate_num: int
    # Frame rate, denominator.
    rate_den: int
    # True where every shown frame lasts one frame of the rate.
    constant_rate: bool
    # Time base of the stream's timestamps, numerator.
    time_base_num: int
    # Time base of the stream's timestamps, denominator.
    time_base_den: int
    # Timestamp of the first shown frame, in the time base: zero of the video's timeline.
    start_pts: int
    # Timestamp at which the last shown frame ends, in the time base.
    end_pts: int
    # Frames that are shown.
    frames: int
    # Longest distance between two keyframes, in milliseconds.
    gop_ms_max: int
    # Largest reorder delay (pts minus dts), in the time base.
    reorder_pts: int
    # Pixel format of decoded frames, such as yuv420p.
    pixel_format: str
    # Primaries by FFmpeg's name; unknown where untagged.
    color_primaries: str
    # Transfer function by FFmpeg's name; unknown where untagged.
    color_transfer: str
    # Matrix by FFmpeg's name; unknown where untagged.
    color_matrix: str
    # tv or pc; unknown where untagged.
    color_range: str
    # progressive, tt, bb, tb or bt.
    field_order: str

    def as_record(self) -> dict[str, Any]:
        return {
            "stream_index": self.stream_index,
            "codec": self.codec,
            "width": self.width,
            "height": self.height,
            "rotation_deg": self.rotation_deg,
            "sar_num": self.sar_num,
            "sar_den": self.sar_den,
            "rate_num": self.rate_num,
            "rate_den": self.rate_den,
            "constant_rate": self.constant_rate,
            "time_base_num": self.time_base_num,
            "time_base_den": self.time_base_den,
            "start_pts": self.start_pts,
            "end_pts": self.end_pts,
            "frames": self.frames,
            "gop_ms_max": self.gop_ms_max,
            "reorder_pts": self.reorder_pts,
            "pixel_format": self.pixel_format,
            "color_primaries": self.color_primaries,
            "color_transfer": self.color_transfer,
            "color_matrix": self.color_matrix,
            "color_range": self.color_range,
            "field_order": self.field_order,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            stream_index=record["stream_index"],
            codec=record["codec"],
            width=record["width"],
            height=record["height"],
            rotation_deg=record["rotation_deg"],
            sar_num=record["sar_num"],
            sar_den=record["sar_den"],
            rate_num=record["rate_num"],
            rate_den=record["rate_den"],
            constant_rate=record["constant_rate"],
            time_base_num=record["time_base_num"],
            time_base_den=record["time_base_den"],
            start_pts=record["start_pts"],
            end_pts=record["end_pts"],
            frames=record["frames"],
            gop_ms_max=record["gop_ms_max"],
            reorder_pts=record["reorder_pts"],
            pixel_format=record["pixel_format"],
            color_primaries=record["color_primaries"],
            color_transfer=record["color_transfer"],
            color_matrix=record["color_matrix"],
            color_range=record["color_range"],
            field_order=record["field_order"],
        )


@dataclass(frozen=True, slots=True)
class AudioEncoded(Event):
    """A whole audio rendition is stored and was verified."""

    NAME: ClassVar[str] = "AudioEncoded"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt.
    attempt: int
    # Name of the rendition.
    rendition: str
    # Digest in the names of its objects.
    recipe: str
    # ISO 639 code, und where unknown.
    language: str
    # RFC 6381 codec string.
    codec: str
    # Number of channels.
    channels: int
    # Samples a second, which is its timescale.
    sample_rate_hz: int
    # The segments.
    segments: tuple[SegmentMade, ...]
    # Integrated loudness of the source, in LUFS.
    loudness_lufs: float
    # Static gain applied, in decibels.
    gain_db: float
    # CPU time spent, in seconds; 0 where all was reused.
    cpu_seconds: float

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "rendition": self.rendition,
            "recipe": self.recipe,
            "language": self.language,
            "codec": self.codec,
            "channels": self.channels,
            "sample_rate_hz": self.sample_rate_hz,
            "segments": [item.as_record() for item in self.segments],
            "loudness_lufs": self.loudness_lufs,
            "gain_db": self.gain_db,
            "cpu_seconds": self.cpu_seconds,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            rendition=record["rendition"],
            recipe=record["recipe"],
            language=record["language"],
            codec=record["codec"],
            channels=record["channels"],
            sample_rate_hz=record["sample_rate_hz"],
            segments=tuple(SegmentMade.from_record(item) for item in record["segments"]),
            loudness_lufs=record["loudness_lufs"],
            gain_db=record["gain_db"],
            cpu_seconds=record["cpu_seconds"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRequested(Event):
    """Encode a whole audio track."""

    NAME: ClassVar[str] = "AudioRequested"
    KIND: ClassVar[str] = "request"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt, from 1.
    attempt: int
    # Key of the original.
    object_key: str
    # Digest of the original.
    source_sha256: str
    # The track.
    audio: AudioTrack
    # The video track that gives the timeline; null for audio only.
    video: VideoTrack | None = None
    # The grid of the timeline.
    grid: Grid
    # Length of the timeline in milliseconds.
    duration_ms: int
    # Name of the rendition, such as audio-128.
    rendition: str
    # Target rate in bits a second.
    bitrate_bps: int
    # Digest of all inputs that make the output.
    recipe: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "object_key": self.object_key,
            "source_sha256": self.source_sha256,
            "audio": self.audio.as_record(),
            "video": None if self.video is None else self.video.as_record(),
            "grid": self.grid.as_record(),
            "duration_ms": self.duration_ms,
            "rendition": self.rendition,
            "bitrate_bps": self.bitrate_bps,
            "recipe": self.recipe,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            object_key=record["object_key"],
            source_sha256=record["source_sha256"],
            audio=AudioTrack.from_record(record["audio"]),
            video=None if record["video"] is None else VideoTrack.from_record(record["video"]),
            grid=Grid.from_record(record["grid"]),
            duration_ms=record["duration_ms"],
            rendition=record["rendition"],
            bitrate_bps=record["bitrate_bps"],
            recipe=record["recipe"],
        )


@dataclass(frozen=True, slots=True)
class BlockRequested(Event):
    """A moderator asked to block a video."""

    NAME: ClassVar[str] = "BlockRequested"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Pseudonym of who asked.
    user_id: str
    # Why.
    reason: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "user_id": self.user_id,
            "reason": self.reason,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            user_id=record["user_id"],
            reason=record["reason"],
        )


@dataclass(frozen=True, slots=True)
class CancelRequested(Event):
    """Somebody asked to stop a video's way."""

    NAME: ClassVar[str] = "CancelRequested"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Pseudonym of who asked.
    user_id: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "user_id": self.user_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            user_id=record["user_id"],
        )


@dataclass(frozen=True, slots=True)
class ChunkCut(Event):
    """A chunk is stored and was verified."""

    NAME: ClassVar[str] = "ChunkCut"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt.
    attempt: int
    # Key of the chunk file.
    object_key: str
    # Size in bytes.
    size_bytes: int
    # Digest of the chunk file.
    sha256: str
    # What the chunk shows.
    range: ChunkRange

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "object_key": self.object_key,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "range": self.range.as_record(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            object_key=record["object_key"],
            size_bytes=record["size_bytes"],
            sha256=record["sha256"],
            range=ChunkRange.from_record(record["range"]),
        )


@dataclass(frozen=True, slots=True)
class ChunkEncoded(Event):
    """One chunk of one rung is stored and was verified."""

    NAME: ClassVar[str] = "ChunkEncoded"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt.
    attempt: int
    # Number of the chunk.
    number: int
    # Name of the rung.
    rung: str
    # Key of the chunk file it is made from.
    object_key: str
    # Digest of the chunk file.
    chunk_sha256: str
    # What the chunk shows.
    range: ChunkRange
    # Digest in the names of its objects.
    recipe: str
    # RFC 6381 codec string.
    codec: str
    # Digest of the init segment; equal in every chunk of a rung.
    init_sha256: str
    # The segments.
    segments: tuple[SegmentMade, ...]
    # Frames encoded.
    frames: int
    # Frames of the source that did not decode, in whose place the one before is shown.
    repeated_frames: int
    # What the joined decoder buffer lacks at worst, in bits; 0 where it never runs dry.
    vbv_shortage_bits: int
    # CPU time of the group divided by its rungs, in seconds; 0 where all was reused.
    cpu_seconds: float
    # True where stored output was verified and used instead of encoding again.
    reused: bool
    # Who made it.
    worker: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "number": self.number,
            "rung": self.rung,
            "object_key": self.object_key,
            "chunk_sha256": self.chunk_sha256,
            "range": self.range.as_record(),
            "recipe": self.recipe,
            "codec": self.codec,
            "init_sha256": self.init_sha256,
            "segments": [item.as_record() for item in self.segments],
            "frames": self.frames,
            "repeated_frames": self.repeated_frames,
            "vbv_shortage_bits": self.vbv_shortage_bits,
            "cpu_seconds": self.cpu_seconds,
            "reused": self.reused,
            "worker": self.worker,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            number=record["number"],
            rung=record["rung"],
            object_key=record["object_key"],
            chunk_sha256=record["chunk_sha256"],
            range=ChunkRange.from_record(record["range"]),
            recipe=record["recipe"],
            codec=record["codec"],
            init_sha256=record["init_sha256"],
            segments=tuple(SegmentMade.from_record(item) for item in record["segments"]),
            frames=record["frames"],
            repeated_frames=record["repeated_frames"],
            vbv_shortage_bits=record["vbv_shortage_bits"],
            cpu_seconds=record["cpu_seconds"],
            reused=record["reused"],
            worker=record["worker"],
        )


@dataclass(frozen=True, slots=True)
class CommandRefused(Event):
    """A command did not fit the video's state."""

    NAME: ClassVar[str] = "CommandRefused"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Name of the command.
    command: str
    # Stable code.
    code: str
    # What happened and what to do.
    text: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "command": self.command,
            "code": self.code,
            "text": self.text,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            command=record["command"],
            code=record["code"],
            text=record["text"],
        )


@dataclass(frozen=True, slots=True)
class CutRequested(Event):
    """Split the original into chunks without encoding."""

    NAME: ClassVar[str] = "CutRequested"
    KIND: ClassVar[str] = "request"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt, from 1.
    attempt: int
    # Key of the original.
    object_key: str
    # Digest of the original.
    source_sha256: str
    # The video track.
    video: VideoTrack
    # The grid of the timeline.
    grid: Grid

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "object_key": self.object_key,
            "source_sha256": self.source_sha256,
            "video": self.video.as_record(),
            "grid": self.grid.as_record(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            object_key=record["object_key"],
            source_sha256=record["source_sha256"],
            video=VideoTrack.from_record(record["video"]),
            grid=Grid.from_record(record["grid"]),
        )


@dataclass(frozen=True, slots=True)
class DeadLettered(Event):
    """A record or a request that nobody could process, with cause, place and payload (TRN-10)."""

    NAME: ClassVar[str] = "DeadLettered"
    KIND: ClassVar[str] = "event"

    # Id, from the cause and the place.
    letter_id: str
    # record (could not be read), parked (a fold raised) or work (attempts used up).
    kind: str
    # Topology.
    topology: str
    # Step.
    step: str
    # Topic of the input.
    topic: str
    # Partition of the input.
    partition: int
    # Offset of the input.
    offset: int
    # Key.
    key: bytes
    # What happened.
    reason: str
    # The value of the input as it was.
    payload: bytes

    def as_record(self) -> dict[str, Any]:
        return {
            "letter_id": self.letter_id,
            "kind": self.kind,
            "topology": self.topology,
            "step": self.step,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "key": self.key,
            "reason": self.reason,
            "payload": self.payload,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            letter_id=record["letter_id"],
            kind=record["kind"],
            topology=record["topology"],
            step=record["step"],
            topic=record["topic"],
            partition=record["partition"],
            offset=record["offset"],
            key=record["key"],
            reason=record["reason"],
            payload=record["payload"],
        )


@dataclass(frozen=True, slots=True)
class DeadlinePassed(Event):
    """A deadline of a key was due; folded like any event."""

    NAME: ClassVar[str] = "DeadlinePassed"
    KIND: ClassVar[str] = "event"

    # Topology.
    topology: str
    # Fold.
    step: str
    # Key of the state.
    key: bytes
    # Name of the deadline.
    name: str
    # When it was due, milliseconds of the epoch.
    at_ms: int

    def as_record(self) -> dict[str, Any]:
        return {
            "topology": self.topology,
            "step": self.step,
            "key": self.key,
            "name": self.name,
            "at_ms": self.at_ms,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            topology=record["topology"],
            step=record["step"],
            key=record["key"],
            name=record["name"],
            at_ms=record["at_ms"],
        )


@dataclass(frozen=True, slots=True)
class DeleteRequested(Event):
    """A creator asked to delete a video."""

    NAME: ClassVar[str] = "DeleteRequested"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Pseudonym of who asked.
    user_id: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "user_id": self.user_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            user_id=record["user_id"],
        )


@dataclass(frozen=True, slots=True)
class DeletionRequested(Event):
    """Remove objects that nobody may need."""

    NAME: ClassVar[str] = "DeletionRequested"
    KIND: ClassVar[str] = "request"

    # The video.
    video_id: str
    # Why.
    reason: str
    # Prefixes whose objects go.
    prefixes: tuple[str, ...]
    # Key of a multipart upload to abort.
    multipart_key: str | None = None
    # Id of a multipart upload to abort.
    multipart_id: str | None = None

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "reason": self.reason,
            "prefixes": list(self.prefixes),
            "multipart_key": self.multipart_key,
            "multipart_id": self.multipart_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            reason=record["reason"],
            prefixes=tuple(record["prefixes"]),
            multipart_key=record["multipart_key"],
            multipart_id=record["multipart_id"],
        )


@dataclass(frozen=True, slots=True)
class EditRequested(Event):
    """A creator asked for other metadata; null keeps what is there (API-7)."""

    NAME: ClassVar[str] = "EditRequested"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Pseudonym of who asked.
    user_id: str
    # Title.
    title: str | None = None
    # Description.
    description: str | None = None
    # Tags.
    tags: tuple[str, ...] | None = None
    # public, unlisted or private.
    visibility: str | None = None

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "user_id": self.user_id,
            "title": self.title,
            "description": self.description,
            "tags": None if self.tags is None else list(self.tags),
            "visibility": self.visibility,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            user_id=record["user_id"],
            title=record["title"],
            description=record["description"],
            tags=None if record["tags"] is None else tuple(record["tags"]),
            visibility=record["visibility"],
        )


@dataclass(frozen=True, slots=True)
class EncodeFailed(Event):
    """A chunk's group could not be encoded."""

    NAME: ClassVar[str] = "EncodeFailed"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt.
    attempt: int
    # Number of the chunk.
    number: int
    # Encode group.
    group: int
    # Key of the chunk file it is made from.
    object_key: str
    # Digest of the chunk file.
    chunk_sha256: str
    # What the chunk shows.
    range: ChunkRange
    # True where another attempt can't help.
    permanent: bool
    # Stable code.
    code: str
    # What happened.
    text: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "number": self.number,
            "group": self.group,
            "object_key": self.object_key,
            "chunk_sha256": self.chunk_sha256,
            "range": self.range.as_record(),
            "permanent": self.permanent,
            "code": self.code,
            "text": self.text,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            number=record["number"],
            group=record["group"],
            object_key=record["object_key"],
            chunk_sha256=record["chunk_sha256"],
            range=ChunkRange.from_record(record["range"]),
            permanent=record["permanent"],
            code=record["code"],
            text=record["text"],
        )


@dataclass(frozen=True, slots=True)
class EncodeRequested(Event):
    """Encode one chunk for a group of rungs (TRN-3)."""

    NAME: ClassVar[str] = "EncodeRequested"
    KIND: ClassVar[str] = "request"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt, from 1.
    attempt: int
    # urgent, normal or backfill.
    lane: str
    # Key of the chunk file.
    object_key: str
    # Digest of the chunk file.
    chunk_sha256: str
    # The video track.
    video: VideoTrack
    # The grid of the timeline.
    grid: Grid
    # What the chunk shows.
    range: ChunkRange
    # The rungs of the group, lowest first.
    rungs: tuple[Rung, ...]

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "lane": self.lane,
            "object_key": self.object_key,
            "chunk_sha256": self.chunk_sha256,
            "video": self.video.as_record(),
            "grid": self.grid.as_record(),
            "range": self.range.as_record(),
            "rungs": [item.as_record() for item in self.rungs],
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            lane=record["lane"],
            object_key=record["object_key"],
            chunk_sha256=record["chunk_sha256"],
            video=VideoTrack.from_record(record["video"]),
            grid=Grid.from_record(record["grid"]),
            range=ChunkRange.from_record(record["range"]),
            rungs=tuple(Rung.from_record(item) for item in record["rungs"]),
        )


@dataclass(frozen=True, slots=True)
class EncodeWorkStarted(Event):
    """A worker took a chunk in hand."""

    NAME: ClassVar[str] = "EncodeWorkStarted"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch of the request.
    epoch: int
    # Attempt of the request.
    attempt: int
    # Number of the chunk.
    number: int
    # Encode group.
    group: int
    # Who holds it.
    worker: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "number": self.number,
            "group": self.group,
            "worker": self.worker,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            number=record["number"],
            group=record["group"],
            worker=record["worker"],
        )


@dataclass(frozen=True, slots=True)
class JournalWritten(Event):
    """What one transaction folded, in order."""

    NAME: ClassVar[str] = "JournalWritten"
    KIND: ClassVar[str] = "progress"

    # Topology.
    topology: str
    # Partition.
    partition: int
    # Folds and their versions, as name=version.
    versions: tuple[str, ...]
    # What was folded, in order.
    runs: tuple[JournalRun, ...]

    def as_record(self) -> dict[str, Any]:
        return {
            "topology": self.topology,
            "partition": self.partition,
            "versions": list(self.versions),
            "runs": [item.as_record() for item in self.runs],
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            topology=record["topology"],
            partition=record["partition"],
            versions=tuple(record["versions"]),
            runs=tuple(JournalRun.from_record(item) for item in record["runs"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderPlanned(Event):
    """What will be made of the source."""

    NAME: ClassVar[str] = "LadderPlanned"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # urgent, normal or backfill.
    lane: str
    # Key of the original.
    source_key: str
    # Digest of the original.
    source_sha256: str
    # The video track, null for audio only.
    video: VideoTrack | None = None
    # The grid of the timeline.
    grid: Grid
    # Video rungs, lowest first.
    rungs: tuple[Rung, ...]
    # Audio renditions to encode.
    audio: tuple[AudioRung, ...]
    # Length of the timeline in milliseconds.
    duration_ms: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "lane": self.lane,
            "source_key": self.source_key,
            "source_sha256": self.source_sha256,
            "video": None if self.video is None else self.video.as_record(),
            "grid": self.grid.as_record(),
            "rungs": [item.as_record() for item in self.rungs],
            "audio": [item.as_record() for item in self.audio],
            "duration_ms": self.duration_ms,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            lane=record["lane"],
            source_key=record["source_key"],
            source_sha256=record["source_sha256"],
            video=None if record["video"] is None else VideoTrack.from_record(record["video"]),
            grid=Grid.from_record(record["grid"]),
            rungs=tuple(Rung.from_record(item) for item in record["rungs"]),
            audio=tuple(AudioRung.from_record(item) for item in record["audio"]),
            duration_ms=record["duration_ms"],
        )


@dataclass(frozen=True, slots=True)
class LateView(Event):
    """An event came after its session was decided; counted apart."""

    NAME: ClassVar[str] = "LateView"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Pseudonym.
    viewer_id: str
    # The session.
    session_id: str
    # The client event.
    event_id: str
    # Start of the hour the session began in, milliseconds of the epoch.
    hour_ms: int
    # Shard of the count.
    shard: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "viewer_id": self.viewer_id,
            "session_id": self.session_id,
            "event_id": self.event_id,
            "hour_ms": self.hour_ms,
            "shard": self.shard,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            viewer_id=record["viewer_id"],
            session_id=record["session_id"],
            event_id=record["event_id"],
            hour_ms=record["hour_ms"],
            shard=record["shard"],
        )


@dataclass(frozen=True, slots=True)
class ObjectSeen(Event):
    """The store's own notification, checked with a HEAD (ING-4)."""

    NAME: ClassVar[str] = "ObjectSeen"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Key of the original.
    object_key: str
    # Size the store reports.
    size_bytes: int
    # ETag the store reports.
    etag: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "object_key": self.object_key,
            "size_bytes": self.size_bytes,
            "etag": self.etag,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            object_key=record["object_key"],
            size_bytes=record["size_bytes"],
            etag=record["etag"],
        )


@dataclass(frozen=True, slots=True)
class ObjectsDeleted(Event):
    """Objects are gone."""

    NAME: ClassVar[str] = "ObjectsDeleted"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Why.
    reason: str
    # How many were there.
    objects: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "reason": self.reason,
            "objects": self.objects,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            reason=record["reason"],
            objects=record["objects"],
        )


@dataclass(frozen=True, slots=True)
class PackageFailed(Event):
    """Playlists could not be written."""

    NAME: ClassVar[str] = "PackageFailed"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # Attempt.
    attempt: int
    # Number of this writing.
    sequence: int
    # True where another attempt can't help.
    permanent: bool
    # Stable code.
    code: str
    # What happened.
    text: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "sequence": self.sequence,
            "permanent": self.permanent,
            "code": self.code,
            "text": self.text,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            sequence=record["sequence"],
            permanent=record["permanent"],
            code=record["code"],
            text=record["text"],
        )


@dataclass(frozen=True, slots=True)
class PackageRequested(Event):
    """Write the playlists of what is there."""

    NAME: ClassVar[str] = "PackageRequested"
    KIND: ClassVar[str] = "request"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt, from 1.
    attempt: int
    # Number of this writing; a stalled worker can't put an older one back.
    sequence: int
    # True where every rung is complete: VOD playlists.
    final: bool
    # The grid of the timeline.
    grid: Grid
    # Video renditions, lowest first.
    video: tuple[PlaylistRendition, ...]
    # Audio renditions.
    audio: tuple[PlaylistRendition, ...]

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "sequence": self.sequence,
            "final": self.final,
            "grid": self.grid.as_record(),
            "video": [item.as_record() for item in self.video],
            "audio": [item.as_record() for item in self.audio],
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            sequence=record["sequence"],
            final=record["final"],
            grid=Grid.from_record(record["grid"]),
            video=tuple(PlaylistRendition.from_record(item) for item in record["video"]),
            audio=tuple(PlaylistRendition.from_record(item) for item in record["audio"]),
        )


@dataclass(frozen=True, slots=True)
class PlaybackReported(Event):
    """A batch of client events of one partition."""

    NAME: ClassVar[str] = "PlaybackReported"
    KIND: ClassVar[str] = "event"

    # The events.
    events: tuple[ClientEvent, ...]

    def as_record(self) -> dict[str, Any]:
        return {
            "events": [item.as_record() for item in self.events],
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            events=tuple(ClientEvent.from_record(item) for item in record["events"]),
        )


@dataclass(frozen=True, slots=True)
class PlaylistsWritten(Event):
    """Playlists are stored and were verified."""

    NAME: ClassVar[str] = "PlaylistsWritten"
    KIND: ClassVar[str] = "progress"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # Attempt.
    attempt: int
    # Number of this writing.
    sequence: int
    # True where they are finished.
    final: bool
    # Key of the HLS master playlist.
    hls_key: str
    # Key of the DASH manifest; empty while growing.
    dash_key: str
    # Who wrote them.
    worker: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "sequence": self.sequence,
            "final": self.final,
            "hls_key": self.hls_key,
            "dash_key": self.dash_key,
            "worker": self.worker,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            sequence=record["sequence"],
            final=record["final"],
            hls_key=record["hls_key"],
            dash_key=record["dash_key"],
            worker=record["worker"],
        )


@dataclass(frozen=True, slots=True)
class PosterMade(Event):
    """A poster is stored under the digest of its bytes (THM-6)."""

    NAME: ClassVar[str] = "PosterMade"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # Key of the image.
    object_key: str
    # Width in pixels.
    width: int
    # Height in pixels.
    height: int
    # Size in bytes.
    size_bytes: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "object_key": self.object_key,
            "width": self.width,
            "height": self.height,
            "size_bytes": self.size_bytes,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            object_key=record["object_key"],
            width=record["width"],
            height=record["height"],
            size_bytes=record["size_bytes"],
        )


@dataclass(frozen=True, slots=True)
class PosterRequested(Event):
    """Make a poster from the first chunk."""

    NAME: ClassVar[str] = "PosterRequested"
    KIND: ClassVar[str] = "request"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt, from 1.
    attempt: int
    # Key of the chunk file.
    object_key: str
    # The video track.
    video: VideoTrack
    # What the chunk shows.
    range: ChunkRange

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "object_key": self.object_key,
            "video": self.video.as_record(),
            "range": self.range.as_record(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            object_key=record["object_key"],
            video=VideoTrack.from_record(record["video"]),
            range=ChunkRange.from_record(record["range"]),
        )


@dataclass(frozen=True, slots=True)
class ProbeRequested(Event):
    """Look at a stored original."""

    NAME: ClassVar[str] = "ProbeRequested"
    KIND: ClassVar[str] = "request"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Which try of the whole way; a retry by a person starts a new one.
    epoch: int
    # Which try of this step, from 1.
    attempt: int
    # Key of the original.
    object_key: str
    # Size in bytes.
    size_bytes: int
    # Digest the client declared, hexadecimal.
    sha256: str | None = None

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "object_key": self.object_key,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            object_key=record["object_key"],
            size_bytes=record["size_bytes"],
            sha256=record["sha256"],
        )


@dataclass(frozen=True, slots=True)
class ProfileEdited(Event):
    """A person chose how others see them (API-7)."""

    NAME: ClassVar[str] = "ProfileEdited"
    KIND: ClassVar[str] = "event"

    # Pseudonym.
    user_id: str
    # Name.
    name: str
    # Address of an image, empty where none.
    avatar_url: str

    def as_record(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "name": self.name,
            "avatar_url": self.avatar_url,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            user_id=record["user_id"],
            name=record["name"],
            avatar_url=record["avatar_url"],
        )


@dataclass(frozen=True, slots=True)
class RedriveRequested(Event):
    """An operator asked to try a dead letter again."""

    NAME: ClassVar[str] = "RedriveRequested"
    KIND: ClassVar[str] = "event"

    # Id of the dead letter.
    letter_id: str
    # Topology.
    topology: str
    # Step.
    step: str
    # Kind of the dead letter.
    kind: str
    # Topic of the input.
    topic: str
    # Partition of the input.
    partition: int
    # Offset of the input.
    offset: int
    # Key.
    key: bytes

    def as_record(self) -> dict[str, Any]:
        return {
            "letter_id": self.letter_id,
            "topology": self.topology,
            "step": self.step,
            "kind": self.kind,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "key": self.key,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            letter_id=record["letter_id"],
            topology=record["topology"],
            step=record["step"],
            kind=record["kind"],
            topic=record["topic"],
            partition=record["partition"],
            offset=record["offset"],
            key=record["key"],
        )


@dataclass(frozen=True, slots=True)
class RenditionCompleted(Event):
    """Every chunk of a rung is stored; said once (TRN-6)."""

    NAME: ClassVar[str] = "RenditionCompleted"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # The rendition.
    summary: RenditionSummary
    # What playlists say of it.
    rendition: PlaylistRendition

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "summary": self.summary.as_record(),
            "rendition": self.rendition.as_record(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            summary=RenditionSummary.from_record(record["summary"]),
            rendition=PlaylistRendition.from_record(record["rendition"]),
        )


@dataclass(frozen=True, slots=True)
class RenditionFailed(Event):
    """A rung's chunk failed for good; the rung is dropped and flagged."""

    NAME: ClassVar[str] = "RenditionFailed"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # Name of the rung.
    rung: str
    # Number of the chunk that failed.
    number: int
    # Stable code.
    code: str
    # What happened.
    text: str
    # What is stored of it without a hole.
    summary: RenditionSummary

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "rung": self.rung,
            "number": self.number,
            "code": self.code,
            "text": self.text,
            "summary": self.summary.as_record(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            rung=record["rung"],
            number=record["number"],
            code=record["code"],
            text=record["text"],
            summary=RenditionSummary.from_record(record["summary"]),
        )


@dataclass(frozen=True, slots=True)
class RenditionPlayable(Event):
    """The first segments of a rung are there without a hole."""

    NAME: ClassVar[str] = "RenditionPlayable"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # Name of the rung.
    rung: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "rung": self.rung,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            rung=record["rung"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionProgressed(Event):
    """How far a rung has come; superseded by the next one."""

    NAME: ClassVar[str] = "RenditionProgressed"
    KIND: ClassVar[str] = "progress"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # Chunks encoded.
    chunks_done: int
    # Chunks expected; null until the source is cut.
    chunks_total: int | None = None
    # Bytes of all segments done.
    size_bytes: int
    # The rung as far as it is stored without a hole.
    rendition: PlaylistRendition

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "chunks_done": self.chunks_done,
            "chunks_total": self.chunks_total,
            "size_bytes": self.size_bytes,
            "rendition": self.rendition.as_record(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            chunks_done=record["chunks_done"],
            chunks_total=record["chunks_total"],
            size_bytes=record["size_bytes"],
            rendition=PlaylistRendition.from_record(record["rendition"]),
        )


@dataclass(frozen=True, slots=True)
class RestoreRequested(Event):
    """A moderator asked to lift a block."""

    NAME: ClassVar[str] = "RestoreRequested"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Pseudonym of who asked.
    user_id: str
    # Why.
    reason: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "user_id": self.user_id,
            "reason": self.reason,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            user_id=record["user_id"],
            reason=record["reason"],
        )


@dataclass(frozen=True, slots=True)
class RetryRequested(Event):
    """Somebody asked to try a failed video again."""

    NAME: ClassVar[str] = "RetryRequested"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Pseudonym of who asked.
    user_id: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "user_id": self.user_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            user_id=record["user_id"],
        )


@dataclass(frozen=True, slots=True)
class ShardCounted(Event):
    """Totals of one shard, absolute."""

    NAME: ClassVar[str] = "ShardCounted"
    KIND: ClassVar[str] = "progress"

    # The video.
    video_id: str
    # The hour, milliseconds of the epoch.
    hour_ms: int
    # The shard.
    shard: int
    # Counted views.
    counted: int
    # Rejected sessions.
    rejected: int
    # Late events.
    late: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "hour_ms": self.hour_ms,
            "shard": self.shard,
            "counted": self.counted,
            "rejected": self.rejected,
            "late": self.late,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            hour_ms=record["hour_ms"],
            shard=record["shard"],
            counted=record["counted"],
            rejected=record["rejected"],
            late=record["late"],
        )


@dataclass(frozen=True, slots=True)
class SourceAbandoned(Event):
    """A step over the whole source used up its attempts or its time."""

    NAME: ClassVar[str] = "SourceAbandoned"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch of the request.
    epoch: int
    # probe, cut or audio.
    step: str
    # Stable code.
    code: str
    # A sentence that a creator understands.
    text: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "step": self.step,
            "code": self.code,
            "text": self.text,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            step=record["step"],
            code=record["code"],
            text=record["text"],
        )


@dataclass(frozen=True, slots=True)
class SourceCut(Event):
    """Every chunk is stored; how many there are."""

    NAME: ClassVar[str] = "SourceCut"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch.
    epoch: int
    # Attempt.
    attempt: int
    # Number of chunks.
    chunks: int
    # Number of segments.
    segments: int
    # Number of frames shown.
    frames: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "chunks": self.chunks,
            "segments": self.segments,
            "frames": self.frames,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            chunks=record["chunks"],
            segments=record["segments"],
            frames=record["frames"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProbed(Event):
    """What the original is, by its bytes (TRN-1)."""

    NAME: ClassVar[str] = "SourceProbed"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch of the request.
    epoch: int
    # Attempt of the request.
    attempt: int
    # Digest of the original, hexadecimal (ING-7).
    sha256: str
    # Demuxer's name.
    container: str
    # Length of the timeline in milliseconds.
    duration_ms: int
    # Mean rate of the file in bits a second.
    bitrate_bps: int
    # The video track, null for audio only.
    video: VideoTrack | None = None
    # Audio tracks in the container's order.
    audio: tuple[AudioTrack, ...]
    # Digest of the versions of libraries and encoders that will make the outputs.
    toolchain: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "sha256": self.sha256,
            "container": self.container,
            "duration_ms": self.duration_ms,
            "bitrate_bps": self.bitrate_bps,
            "video": None if self.video is None else self.video.as_record(),
            "audio": [item.as_record() for item in self.audio],
            "toolchain": self.toolchain,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            sha256=record["sha256"],
            container=record["container"],
            duration_ms=record["duration_ms"],
            bitrate_bps=record["bitrate_bps"],
            video=None if record["video"] is None else VideoTrack.from_record(record["video"]),
            audio=tuple(AudioTrack.from_record(item) for item in record["audio"]),
            toolchain=record["toolchain"],
        )


@dataclass(frozen=True, slots=True)
class SourceRefused(Event):
    """The original can never be published, and why (ING-8)."""

    NAME: ClassVar[str] = "SourceRefused"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch of the request.
    epoch: int
    # Attempt of the request.
    attempt: int
    # Stable code.
    code: str
    # A sentence that a creator understands.
    text: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "code": self.code,
            "text": self.text,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            code=record["code"],
            text=record["text"],
        )


@dataclass(frozen=True, slots=True)
class SourceStepFailed(Event):
    """A step over the whole source failed in a way that another attempt may mend."""

    NAME: ClassVar[str] = "SourceStepFailed"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Epoch of the request.
    epoch: int
    # Attempt of the request.
    attempt: int
    # probe, cut, audio or poster.
    step: str
    # True where another attempt can't help.
    permanent: bool
    # Stable code.
    code: str
    # What happened.
    text: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "step": self.step,
            "permanent": self.permanent,
            "code": self.code,
            "text": self.text,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            step=record["step"],
            permanent=record["permanent"],
            code=record["code"],
            text=record["text"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStored(Event):
    """The original is durable; said once, whichever of completion and notification came first."""

    NAME: ClassVar[str] = "SourceStored"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Pseudonym of the creator.
    creator_id: str
    # Key of the original.
    object_key: str
    # Size in bytes.
    size_bytes: int
    # ETag the store reports.
    etag: str
    # Digest the client declared, hexadecimal; checked by the probe.
    sha256: str | None = None
    # urgent, normal or backfill.
    priority: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "creator_id": self.creator_id,
            "object_key": self.object_key,
            "size_bytes": self.size_bytes,
            "etag": self.etag,
            "sha256": self.sha256,
            "priority": self.priority,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            creator_id=record["creator_id"],
            object_key=record["object_key"],
            size_bytes=record["size_bytes"],
            etag=record["etag"],
            sha256=record["sha256"],
            priority=record["priority"],
        )


@dataclass(frozen=True, slots=True)
class SourceWorkStarted(Event):
    """A worker took a step over the whole source in hand."""

    NAME: ClassVar[str] = "SourceWorkStarted"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch of the request.
    epoch: int
    # Attempt of the request.
    attempt: int
    # probe, cut, audio or poster.
    step: str
    # Who holds it.
    worker: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "attempt": self.attempt,
            "step": self.step,
            "worker": self.worker,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            attempt=record["attempt"],
            step=record["step"],
            worker=record["worker"],
        )


@dataclass(frozen=True, slots=True)
class StepWaiting(Event):
    """What one key of one fold waits for (OPS-3)."""

    NAME: ClassVar[str] = "StepWaiting"
    KIND: ClassVar[str] = "progress"

    # Topology.
    topology: str
    # Fold.
    step: str
    # Key of the state.
    key: bytes
    # The video, empty where the key is another thing.
    video_id: str
    # What it waits for.
    waits_for: str
    # Since when, milliseconds of the epoch.
    since_ms: int
    # Who holds it, empty where nobody does.
    holder: str
    # What happens next.
    next: str
    # Name of its deadline.
    deadline_name: str
    # When that is due, milliseconds of the epoch.
    deadline_at_ms: int

    def as_record(self) -> dict[str, Any]:
        return {
            "topology": self.topology,
            "step": self.step,
            "key": self.key,
            "video_id": self.video_id,
            "waits_for": self.waits_for,
            "since_ms": self.since_ms,
            "holder": self.holder,
            "next": self.next,
            "deadline_name": self.deadline_name,
            "deadline_at_ms": self.deadline_at_ms,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            topology=record["topology"],
            step=record["step"],
            key=record["key"],
            video_id=record["video_id"],
            waits_for=record["waits_for"],
            since_ms=record["since_ms"],
            holder=record["holder"],
            next=record["next"],
            deadline_name=record["deadline_name"],
            deadline_at_ms=record["deadline_at_ms"],
        )


@dataclass(frozen=True, slots=True)
class UploadExpired(Event):
    """A session was not completed in time (ING-5)."""

    NAME: ClassVar[str] = "UploadExpired"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
        )


@dataclass(frozen=True, slots=True)
class UploadFinished(Event):
    """The gateway completed the multipart upload and verified the object (ING-3)."""

    NAME: ClassVar[str] = "UploadFinished"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Key of the original.
    object_key: str
    # Size the store reports.
    size_bytes: int
    # ETag the store reports.
    etag: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "object_key": self.object_key,
            "size_bytes": self.size_bytes,
            "etag": self.etag,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            object_key=record["object_key"],
            size_bytes=record["size_bytes"],
            etag=record["etag"],
        )


@dataclass(frozen=True, slots=True)
class UploadRefused(Event):
    """What was stored is not what was announced."""

    NAME: ClassVar[str] = "UploadRefused"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Stable code.
    code: str
    # A sentence that a creator understands.
    text: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "code": self.code,
            "text": self.text,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            code=record["code"],
            text=record["text"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStarted(Event):
    """A creator opened an upload session (ING-1)."""

    NAME: ClassVar[str] = "UploadStarted"
    KIND: ClassVar[str] = "event"

    # The video that the upload will become.
    video_id: str
    # The session.
    upload_id: str
    # Pseudonym of the creator.
    creator_id: str
    # Title.
    title: str
    # Description.
    description: str
    # Tags.
    tags: tuple[str, ...]
    # public, unlisted or private.
    visibility: str
    # Media type the client declared; never believed.
    content_type: str
    # Size the client declared.
    size_bytes: int
    # Digest of the whole file the client declared, hexadecimal.
    sha256: str | None = None
    # urgent, normal or backfill.
    priority: str
    # Opaque text kept for the client.
    passthrough: str
    # Name of the file at the client, empty where unknown.
    file_name: str
    # Key the original will have.
    object_key: str
    # The object store's id of the multipart upload.
    multipart_id: str
    # Size of each part but the last.
    part_size_bytes: int
    # Number of parts.
    parts: int
    # When the session ends if it was not completed, in milliseconds of the epoch.
    expires_at_ms: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "creator_id": self.creator_id,
            "title": self.title,
            "description": self.description,
            "tags": list(self.tags),
            "visibility": self.visibility,
            "content_type": self.content_type,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "priority": self.priority,
            "passthrough": self.passthrough,
            "file_name": self.file_name,
            "object_key": self.object_key,
            "multipart_id": self.multipart_id,
            "part_size_bytes": self.part_size_bytes,
            "parts": self.parts,
            "expires_at_ms": self.expires_at_ms,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            creator_id=record["creator_id"],
            title=record["title"],
            description=record["description"],
            tags=tuple(record["tags"]),
            visibility=record["visibility"],
            content_type=record["content_type"],
            size_bytes=record["size_bytes"],
            sha256=record["sha256"],
            priority=record["priority"],
            passthrough=record["passthrough"],
            file_name=record["file_name"],
            object_key=record["object_key"],
            multipart_id=record["multipart_id"],
            part_size_bytes=record["part_size_bytes"],
            parts=record["parts"],
            expires_at_ms=record["expires_at_ms"],
        )


@dataclass(frozen=True, slots=True)
class VideoBlocked(Event):
    """A moderator blocked the video."""

    NAME: ClassVar[str] = "VideoBlocked"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Why.
    reason: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "reason": self.reason,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            reason=record["reason"],
        )


@dataclass(frozen=True, slots=True)
class VideoDeleted(Event):
    """The video is gone for everybody."""

    NAME: ClassVar[str] = "VideoDeleted"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
        )


@dataclass(frozen=True, slots=True)
class VideoDocument(Event):
    """What a video is, whole; carries no counters."""

    NAME: ClassVar[str] = "VideoDocument"
    KIND: ClassVar[str] = "progress"

    # The video.
    video_id: str
    # The session.
    upload_id: str
    # Pseudonym of the creator.
    creator_id: str
    # Title.
    title: str
    # Description.
    description: str
    # Tags.
    tags: tuple[str, ...]
    # public, unlisted or private.
    visibility: str
    # Opaque text kept for the client.
    passthrough: str
    # One of OPS-1.
    state: str
    # True where every rung is there.
    complete: bool
    # Epoch.
    epoch: int
    # Stable code where the video failed, else empty.
    error_code: str
    # Sentence where the video failed, else empty.
    error_text: str
    # Why it is blocked, else empty.
    block_reason: str
    # Size of the original.
    size_bytes: int
    # Digest of the original, empty until probed.
    sha256: str
    # Length in milliseconds, 0 until probed.
    duration_ms: int
    # Frames of the source, 0 until probed.
    frames: int
    # Display width of the source, 0 until probed.
    width: int
    # Display height of the source, 0 until probed.
    height: int
    # Key of the poster, empty until made.
    poster_key: str
    # Key of the HLS master playlist, empty until playable.
    hls_key: str
    # Key of the DASH manifest, empty until published.
    dash_key: str
    # Video renditions, once published.
    renditions: tuple[RenditionSummary, ...]
    # Audio renditions, once published.
    audio: tuple[AudioSummary, ...]
    # Rungs that failed and were left out.
    dropped: tuple[str, ...]
    # When the upload began, milliseconds of the epoch.
    created_at_ms: int
    # When the original was durable, 0 before.
    stored_at_ms: int
    # When it could first be watched, 0 before.
    playable_at_ms: int
    # When every rung was there, 0 before.
    published_at_ms: int
    # True where it is public and READY.
    listed: bool
    # Last record of each input that this version reflects.
    positions: tuple[Position, ...]

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
            "creator_id": self.creator_id,
            "title": self.title,
            "description": self.description,
            "tags": list(self.tags),
            "visibility": self.visibility,
            "passthrough": self.passthrough,
            "state": self.state,
            "complete": self.complete,
            "epoch": self.epoch,
            "error_code": self.error_code,
            "error_text": self.error_text,
            "block_reason": self.block_reason,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "duration_ms": self.duration_ms,
            "frames": self.frames,
            "width": self.width,
            "height": self.height,
            "poster_key": self.poster_key,
            "hls_key": self.hls_key,
            "dash_key": self.dash_key,
            "renditions": [item.as_record() for item in self.renditions],
            "audio": [item.as_record() for item in self.audio],
            "dropped": list(self.dropped),
            "created_at_ms": self.created_at_ms,
            "stored_at_ms": self.stored_at_ms,
            "playable_at_ms": self.playable_at_ms,
            "published_at_ms": self.published_at_ms,
            "listed": self.listed,
            "positions": [item.as_record() for item in self.positions],
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
            creator_id=record["creator_id"],
            title=record["title"],
            description=record["description"],
            tags=tuple(record["tags"]),
            visibility=record["visibility"],
            passthrough=record["passthrough"],
            state=record["state"],
            complete=record["complete"],
            epoch=record["epoch"],
            error_code=record["error_code"],
            error_text=record["error_text"],
            block_reason=record["block_reason"],
            size_bytes=record["size_bytes"],
            sha256=record["sha256"],
            duration_ms=record["duration_ms"],
            frames=record["frames"],
            width=record["width"],
            height=record["height"],
            poster_key=record["poster_key"],
            hls_key=record["hls_key"],
            dash_key=record["dash_key"],
            renditions=tuple(RenditionSummary.from_record(item) for item in record["renditions"]),
            audio=tuple(AudioSummary.from_record(item) for item in record["audio"]),
            dropped=tuple(record["dropped"]),
            created_at_ms=record["created_at_ms"],
            stored_at_ms=record["stored_at_ms"],
            playable_at_ms=record["playable_at_ms"],
            published_at_ms=record["published_at_ms"],
            listed=record["listed"],
            positions=tuple(Position.from_record(item) for item in record["positions"]),
        )


@dataclass(frozen=True, slots=True)
class VideoEdited(Event):
    """Other metadata; null keeps what is there."""

    NAME: ClassVar[str] = "VideoEdited"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Title.
    title: str | None = None
    # Description.
    description: str | None = None
    # Tags.
    tags: tuple[str, ...] | None = None
    # public, unlisted or private.
    visibility: str | None = None

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "title": self.title,
            "description": self.description,
            "tags": None if self.tags is None else list(self.tags),
            "visibility": self.visibility,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            title=record["title"],
            description=record["description"],
            tags=None if record["tags"] is None else tuple(record["tags"]),
            visibility=record["visibility"],
        )


@dataclass(frozen=True, slots=True)
class VideoExpired(Event):
    """The upload was not completed in time."""

    NAME: ClassVar[str] = "VideoExpired"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
        )


@dataclass(frozen=True, slots=True)
class VideoFailed(Event):
    """The video can't be published, and why."""

    NAME: ClassVar[str] = "VideoFailed"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # Stable code.
    code: str
    # A sentence that a creator understands.
    text: str
    # True where asking for a retry makes sense.
    retryable: bool

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "code": self.code,
            "text": self.text,
            "retryable": self.retryable,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            code=record["code"],
            text=record["text"],
            retryable=record["retryable"],
        )


@dataclass(frozen=True, slots=True)
class VideoHourCounted(Event):
    """Totals of a video and hour, absolute."""

    NAME: ClassVar[str] = "VideoHourCounted"
    KIND: ClassVar[str] = "progress"

    # The video.
    video_id: str
    # The hour, milliseconds of the epoch.
    hour_ms: int
    # Counted views.
    counted: int
    # Rejected sessions.
    rejected: int
    # Late events.
    late: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "hour_ms": self.hour_ms,
            "counted": self.counted,
            "rejected": self.rejected,
            "late": self.late,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            hour_ms=record["hour_ms"],
            counted=record["counted"],
            rejected=record["rejected"],
            late=record["late"],
        )


@dataclass(frozen=True, slots=True)
class VideoPlayable(Event):
    """The video can be watched while the rest is encoded (TRN-9)."""

    NAME: ClassVar[str] = "VideoPlayable"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # Key of the growing master playlist.
    hls_key: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "hls_key": self.hls_key,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            hls_key=record["hls_key"],
        )


@dataclass(frozen=True, slots=True)
class VideoProcessing(Event):
    """The original was accepted and its renditions are being made."""

    NAME: ClassVar[str] = "VideoProcessing"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch.
    epoch: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
        )


@dataclass(frozen=True, slots=True)
class VideoPublished(Event):
    """Every rung is there."""

    NAME: ClassVar[str] = "VideoPublished"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Epoch.
    epoch: int
    # Key of the master playlist.
    hls_key: str
    # Key of the DASH manifest.
    dash_key: str
    # Length in milliseconds.
    duration_ms: int
    # Video renditions, lowest first.
    renditions: tuple[RenditionSummary, ...]
    # Audio renditions.
    audio: tuple[AudioSummary, ...]
    # Rungs that failed and were left out.
    dropped: tuple[str, ...]

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
            "hls_key": self.hls_key,
            "dash_key": self.dash_key,
            "duration_ms": self.duration_ms,
            "renditions": [item.as_record() for item in self.renditions],
            "audio": [item.as_record() for item in self.audio],
            "dropped": list(self.dropped),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
            hls_key=record["hls_key"],
            dash_key=record["dash_key"],
            duration_ms=record["duration_ms"],
            renditions=tuple(RenditionSummary.from_record(item) for item in record["renditions"]),
            audio=tuple(AudioSummary.from_record(item) for item in record["audio"]),
            dropped=tuple(record["dropped"]),
        )


@dataclass(frozen=True, slots=True)
class VideoRestored(Event):
    """The block was lifted."""

    NAME: ClassVar[str] = "VideoRestored"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Why.
    reason: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "reason": self.reason,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            reason=record["reason"],
        )


@dataclass(frozen=True, slots=True)
class VideoRetried(Event):
    """A failed video starts its way again."""

    NAME: ClassVar[str] = "VideoRetried"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The new epoch.
    epoch: int

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "epoch": self.epoch,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            epoch=record["epoch"],
        )


@dataclass(frozen=True, slots=True)
class VideoUploaded(Event):
    """The original is durable."""

    NAME: ClassVar[str] = "VideoUploaded"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
        )


@dataclass(frozen=True, slots=True)
class VideoUploading(Event):
    """A video exists and waits for its bytes."""

    NAME: ClassVar[str] = "VideoUploading"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # The session.
    upload_id: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "upload_id": self.upload_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            upload_id=record["upload_id"],
        )


@dataclass(frozen=True, slots=True)
class ViewCounted(Event):
    """A session became a view."""

    NAME: ClassVar[str] = "ViewCounted"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Pseudonym.
    viewer_id: str
    # The session.
    session_id: str
    # Start of the hour the session began in, milliseconds of the epoch.
    hour_ms: int
    # Shard of the count.
    shard: int
    # Played time in milliseconds of media.
    watched_ms: int
    # Rule that decided.
    rule: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "viewer_id": self.viewer_id,
            "session_id": self.session_id,
            "hour_ms": self.hour_ms,
            "shard": self.shard,
            "watched_ms": self.watched_ms,
            "rule": self.rule,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            viewer_id=record["viewer_id"],
            session_id=record["session_id"],
            hour_ms=record["hour_ms"],
            shard=record["shard"],
            watched_ms=record["watched_ms"],
            rule=record["rule"],
        )


@dataclass(frozen=True, slots=True)
class ViewRejected(Event):
    """A session did not become a view, and why."""

    NAME: ClassVar[str] = "ViewRejected"
    KIND: ClassVar[str] = "event"

    # The video.
    video_id: str
    # Pseudonym.
    viewer_id: str
    # The session.
    session_id: str
    # Start of the hour the session began in, milliseconds of the epoch.
    hour_ms: int
    # Shard of the count.
    shard: int
    # Played time in milliseconds of media.
    watched_ms: int
    # too_short or repeated.
    reason: str
    # Rule that decided.
    rule: str

    def as_record(self) -> dict[str, Any]:
        return {
            "video_id": self.video_id,
            "viewer_id": self.viewer_id,
            "session_id": self.session_id,
            "hour_ms": self.hour_ms,
            "shard": self.shard,
            "watched_ms": self.watched_ms,
            "reason": self.reason,
            "rule": self.rule,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            video_id=record["video_id"],
            viewer_id=record["viewer_id"],
            session_id=record["session_id"],
            hour_ms=record["hour_ms"],
            shard=record["shard"],
            watched_ms=record["watched_ms"],
            reason=record["reason"],
            rule=record["rule"],
        )


EVENTS: tuple[type[Event], ...] = (
    AudioEncoded,
    AudioRequested,
    BlockRequested,
    CancelRequested,
    ChunkCut,
    ChunkEncoded,
    CommandRefused,
    CutRequested,
    DeadLettered,
    DeadlinePassed,
    DeleteRequested,
    DeletionRequested,
    EditRequested,
    EncodeFailed,
    EncodeRequested,
    EncodeWorkStarted,
    JournalWritten,
    LadderPlanned,
    LateView,
    ObjectSeen,
    ObjectsDeleted,
    PackageFailed,
    PackageRequested,
    PlaybackReported,
    PlaylistsWritten,
    PosterMade,
    PosterRequested,
    ProbeRequested,
    ProfileEdited,
    RedriveRequested,
    RenditionCompleted,
    RenditionFailed,
    RenditionPlayable,
    RenditionProgressed,
    RestoreRequested,
    RetryRequested,
    ShardCounted,
    SourceAbandoned,
    SourceCut,
    SourceProbed,
    SourceRefused,
    SourceStepFailed,
    SourceStored,
    SourceWorkStarted,
    StepWaiting,
    UploadExpired,
    UploadFinished,
    UploadRefused,
    UploadStarted,
    VideoBlocked,
    VideoDeleted,
    VideoDocument,
    VideoEdited,
    VideoExpired,
    VideoFailed,
    VideoHourCounted,
    VideoPlayable,
    VideoProcessing,
    VideoPublished,
    VideoRestored,
    VideoRetried,
    VideoUploaded,
    VideoUploading,
    ViewCounted,
    ViewRejected,
)
