"""The topic catalogue: every topic once, with what it carries and how it is keyed.

A topic's name is permanent. Its partition count changes only with a new generation of the topic,
and all topics share one count, so that the task of partition p reads partition p of each input.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from millrace.schemas import events as e
from millrace.schemas.events import Event
from millrace.schemas.partitioning import partition_of

Cleanup = Literal["delete", "compact"]
Key = Callable[[Any], bytes]
# The design load (spec.md, "The load it is shaped for"); an engine on one machine uses fewer.
PARTITIONS = 64


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as declared.

    events is empty for raw bytes that are not ours (the store's notifications, as JSON). partition
    says where a record lies, if its key does not.
    """

    name: str
    events: tuple[type[Event], ...]
    key: Key
    partitions: int = PARTITIONS
    cleanup: Cleanup = "delete"
    partition: Callable[[Any], int] | None = None


def partition_for(topic: Topic, event: Event | None, key: bytes, partitions: int) -> int:
    """Where a record lies among so many partitions; by its key, unless its topic says otherwise.

    A partition that the event names and the topic does not have is nobody's: the key says again.
    """
    if topic.partition is not None and event is not None:
        named = topic.partition(event)
        if 0 <= named < partitions:
            return named
    return partition_of(key, partitions)


def by_video(event: Any) -> bytes:
    key: str = event.video_id
    return key.encode()


def by_chunk(event: e.EncodeRequested) -> bytes:
    """Spread over partitions by (video, chunk), so that all workers help one video (TRN-3)."""
    return f"{event.video_id}/{event.range.number}".encode()


def by_viewer(event: e.PlaybackReported) -> bytes:
    """Key of the first event: the gateway batches events of one partition."""
    return viewer_key(event.events[0])


def viewer_key(event: e.ClientEvent) -> bytes:
    return f"{event.video_id}/{event.viewer_id}".encode()


def by_shard(event: e.ViewCounted | e.ViewRejected | e.LateView | e.ShardCounted) -> bytes:
    return f"{event.video_id}/{event.hour_ms}/{event.shard}".encode()


def by_hour(event: e.ShardCounted | e.VideoHourCounted) -> bytes:
    return f"{event.video_id}/{event.hour_ms}".encode()


def by_user(event: e.ProfileEdited) -> bytes:
    return event.user_id.encode()


def by_step(event: e.StepWaiting) -> bytes:
    return f"{event.topology}/{event.step}/".encode() + event.key


def by_key(event: e.DeadlinePassed | e.DeadLettered | e.RedriveRequested) -> bytes:
    return event.key


def by_topology(event: e.JournalWritten) -> bytes:
    return event.topology.encode()


def as_named(event: e.JournalWritten | e.RedriveRequested) -> int:
    """Beside what it is about, so that the task that owns the one reads the other."""
    return event.partition


def by_object(event: bytes) -> bytes:
    """Raw notifications keep the key that the store gave."""
    return event


OBJECT_NOTIFICATIONS = Topic("object-notifications", (), by_object)
COMMANDS = Topic(
    "commands",
    (
        e.CancelRequested,
        e.RetryRequested,
        e.EditRequested,
        e.DeleteRequested,
        e.BlockRequested,
        e.RestoreRequested,
    ),
    by_video,
)
UPLOADS = Topic(
    "uploads",
    (
        e.UploadStarted,
        e.UploadFinished,
        e.ObjectSeen,
        e.UploadExpired,
        e.UploadRefused,
        e.SourceStored,
    ),
    by_video,
)
SOURCES = Topic(
    "sources",
    (
        e.SourceProbed,
        e.SourceRefused,
        e.SourceAbandoned,
        e.SourceStepFailed,
        e.SourceWorkStarted,
        e.LadderPlanned,
        e.ChunkCut,
        e.SourceCut,
        e.AudioEncoded,
    ),
    by_video,
)
SOURCE_REQUESTS = Topic(
    "source-requests", (e.ProbeRequested, e.CutRequested, e.AudioRequested), by_video
)
ENCODE_REQUESTS_URGENT = Topic("encode-requests-urgent", (e.EncodeRequested,), by_chunk)
ENCODE_REQUESTS_NORMAL = Topic("encode-requests-normal", (e.EncodeRequested,), by_chunk)
ENCODE_REQUESTS_BACKFILL = Topic("encode-requests-backfill", (e.EncodeRequested,), by_chunk)
IMAGE_REQUESTS = Topic("image-requests", (e.PosterRequested,), by_video)
PACKAGE_REQUESTS = Topic("package-requests", (e.PackageRequested,), by_video)
DELETION_REQUESTS = Topic("deletion-requests", (e.DeletionRequested,), by_video)
RENDITIONS = Topic(
    "renditions",
    (
        e.EncodeWorkStarted,
        e.ChunkEncoded,
        e.EncodeFailed,
        e.RenditionProgressed,
        e.RenditionPlayable,
        e.RenditionCompleted,
        e.RenditionFailed,
    ),
    by_video,
)
PUBLICATIONS = Topic(
    "publications",
    (
        e.VideoUploading,
        e.VideoUploaded,
        e.VideoProcessing,
        e.VideoExpired,
        e.VideoPlayable,
        e.VideoPublished,
        e.VideoFailed,
        e.VideoRetried,
        e.VideoEdited,
        e.VideoBlocked,
        e.VideoRestored,
        e.VideoDeleted,
        e.PlaylistsWritten,
        e.PackageFailed,
        e.ObjectsDeleted,
        e.CommandRefused,
    ),
    by_video,
)
THUMBNAILS = Topic("thumbnails", (e.PosterMade,), by_video)
PROFILES = Topic("profiles", (e.ProfileEdited,), by_user)
PLAYBACK_EVENTS = Topic("playback-events", (e.PlaybackReported,), by_viewer)
VIEWS = Topic("views", (e.ViewCounted, e.ViewRejected, e.LateView), by_shard)
VIEW_SHARDS = Topic("view-shards", (e.ShardCounted,), by_hour)
VIEW_TOTALS = Topic("view-totals", (e.VideoHourCounted,), by_hour)
CATALOG = Topic("catalog", (e.VideoDocument,), by_video, cleanup="compact")
WAITING = Topic("waiting", (e.StepWaiting,), by_step, cleanup="compact")
TIMERS = Topic("timers", (e.DeadlinePassed,), by_key)
JOURNALS = Topic("journals", (e.JournalWritten,), by_topology, partition=as_named)
DEAD_LETTERS = Topic("dead-letters", (e.DeadLettered,), by_key)
REDRIVES = Topic("redrives", (e.RedriveRequested,), by_key, partition=as_named)

TOPICS: tuple[Topic, ...] = (
    OBJECT_NOTIFICATIONS,
    COMMANDS,
    UPLOADS,
    SOURCES,
    SOURCE_REQUESTS,
    ENCODE_REQUESTS_URGENT,
    ENCODE_REQUESTS_NORMAL,
    ENCODE_REQUESTS_BACKFILL,
    IMAGE_REQUESTS,
    PACKAGE_REQUESTS,
    DELETION_REQUESTS,
    RENDITIONS,
    PUBLICATIONS,
    THUMBNAILS,
    PROFILES,
    PLAYBACK_EVENTS,
    VIEWS,
    VIEW_SHARDS,
    VIEW_TOTALS,
    CATALOG,
    WAITING,
    TIMERS,
    JOURNALS,
    DEAD_LETTERS,
    REDRIVES,
)
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
LANES: dict[str, Topic] = {
    "urgent": ENCODE_REQUESTS_URGENT,
    "normal": ENCODE_REQUESTS_NORMAL,
    "backfill": ENCODE_REQUESTS_BACKFILL,
}
