"""Every table once, as values: one question of the gateway each (query first).

The DDL of each store is derived from these. A table holds nothing that the log cannot make again.
"""

from typing import get_args

from millrace.sinks.ports import Column, ColumnType, Table, Version
from millrace.sinks.ports.tables import OFFSET_MAX

_TYPES: dict[str, ColumnType] = {kind: kind for kind in get_args(ColumnType)}


def _columns(text: str) -> tuple[Column, ...]:
    """`name:type name` to columns; text where no type is named."""
    pairs = (word.partition(":") for word in text.split())
    return tuple(Column(name, _TYPES[kind or "text"]) for name, _, kind in pairs)


def version_of_first(offset: int) -> Version:
    """The version of a row that the first record of its key makes, and no later one replaces."""
    return Version(0, OFFSET_MAX - offset)


def offset_of_first(version: Version) -> int:
    """The offset that such a version stands for."""
    return OFFSET_MAX - version.offset


# What is this video? document is the whole VideoDocument.
VIDEOS = Table("videos", _columns("video_id"), (), _columns("document:json"))
# Which videos has this creator, in order of upload?
CREATOR_VIDEOS = Table(
    "creator_videos",
    _columns("creator_id"),
    _columns("created_at_ms:int video_id"),
    _columns("document:json"),
)
# Which videos may everybody see? The bucket is always `public`; a video leaves it when unlisted.
PUBLIC_VIDEOS = Table(
    "public_videos",
    _columns("bucket"),
    _columns("created_at_ms:int video_id"),
    _columns("document:json"),
)
# What was announced for this upload session? Announced again, the first time counts.
UPLOADS = Table(
    "uploads",
    _columns("upload_id"),
    (),
    _columns("video_id creator_id started:json expires_at_ms:int"),
)
# How did this upload session end? state is stored, expired or refused; no row while it is open.
UPLOAD_ENDS = Table("upload_ends", _columns("upload_id"), (), _columns("video_id state code text"))
# How far is each rung? One row a rung; chunks_total is null until the source is cut.
PROGRESS = Table(
    "progress",
    _columns("video_id"),
    _columns("rung"),
    _columns(
        "epoch:int state chunks_done:int chunks_total:int width:int height:int size_bytes:int"
    ),
)
# How did each step over the whole source go? state is running, done or failed.
STEPS = Table(
    "steps",
    _columns("video_id"),
    _columns("step"),
    _columns("epoch:int state worker attempt:int at_ms:int detail:json"),
)
# How long is each segment? One row a chunk and rung, with what it is made from (RPL-7).
SEGMENTS = Table(
    "segments",
    _columns("video_id"),
    _columns("rung number:int"),
    _columns("epoch:int recipe worker reused:bool cpu_seconds:double made:json"),
)
# What happened to this video, in order? Its publications.
HISTORY = Table(
    "history",
    _columns("video_id"),
    _columns("position:int"),
    _columns("event at_ms:int detail:json"),
)
# How often was this video seen, hour by hour?
VIEW_HOURS = Table(
    "view_hours",
    _columns("video_id"),
    _columns("hour_ms:int"),
    _columns("counted:int rejected:int late:int"),
)
# What does this video wait for?
WAITING = Table(
    "waiting",
    _columns("video_id"),
    _columns("topology step state_key"),
    _columns("waits_for since_ms:int holder next deadline_name deadline_at_ms:int"),
)
# What could nobody process? The bucket is always `all`.
DEAD_LETTERS = Table(
    "dead_letters",
    _columns("bucket"),
    _columns("letter_id"),
    _columns(
        "kind topology step topic place_partition:int place_offset:int record_key:bytes"
        " reason payload:bytes at_ms:int"
    ),
)
# How does a person want to be seen?
PROFILES = Table("profiles", _columns("user_id"), (), _columns("name avatar_url"))

TABLES: tuple[Table, ...] = (
    VIDEOS,
    CREATOR_VIDEOS,
    PUBLIC_VIDEOS,
    UPLOADS,
    UPLOAD_ENDS,
    PROGRESS,
    STEPS,
    SEGMENTS,
    HISTORY,
    VIEW_HOURS,
    WAITING,
    DEAD_LETTERS,
    PROFILES,
)
