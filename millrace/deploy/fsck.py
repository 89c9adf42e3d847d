"""Compares the objects with the log (RPL-8): what the log says must be there, whole, and no more.

It reads every byte of every object that the log names, and changes nothing. What works keep for
themselves is expected to be gone once its video has ended.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import md5, sha256
from typing import Any

from millrace.deploy.log_pages import PAGE, pages
from millrace.schemas import prefixes
from millrace.schemas.events import (
    AudioEncoded,
    ChunkEncoded,
    Event,
    PlaylistsWritten,
    PosterMade,
    SourceProbed,
    SourceStored,
    VideoDeleted,
    VideoFailed,
    VideoPublished,
    VideoRetried,
)
from millrace.schemas.topics import PUBLICATIONS, RENDITIONS, SOURCES, THUMBNAILS, UPLOADS, Topic
from millrace.sinks.ports import Log, NotFound, Objects
from millrace.streams.outputs import prefix_of

READ: tuple[Topic, ...] = (UPLOADS, SOURCES, RENDITIONS, THUMBNAILS, PUBLICATIONS)
KEPT = ("originals/", prefixes.VIDEOS, "images/")
BLOCK_BYTES = 8 << 20


@dataclass(slots=True)
class Expected:
    """What the log says: size and, where it says so, SHA-256 by key."""

    sizes: dict[str, int | None] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    originals: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    # Videos that ended, until a retry begins them anew, and those that no retry can begin anew;
    # and the video of each upload.
    ended: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    videos: dict[str, str] = field(default_factory=dict)

    async def read(self, log: Log, topic: Topic, partition: int) -> None:
        async for records in pages(log, topic.name, partition):
            for record in records:
                self.take(record.event)

    def take(self, event: Event) -> None:
        match event:
            case SourceStored():
                self.sizes[event.object_key] = event.size_bytes
                self.originals[event.video_id] = event.object_key
                self.videos[event.upload_id] = event.video_id
            case SourceProbed() if event.video_id in self.originals:
                self.digests[self.originals[event.video_id]] = event.sha256
            case ChunkEncoded(rung=name) | AudioEncoded(rendition=name):
                prefix = prefix_of(event.video_id, name, event.recipe)
                self.sizes[f"{prefix}/init.mp4"] = None
                for segment in event.segments:
                    self.sizes[f"{prefix}/{segment.number}.m4s"] = segment.size_bytes
            case PosterMade():
                self.sizes[event.object_key] = event.size_bytes
                stem = event.object_key.removeprefix("images/").partition(".")[0]
                self.digests[event.object_key] = stem
            case VideoPublished() | PlaylistsWritten():
                for key in (event.hls_key, event.dash_key):
                    if key:
                        self.sizes[key] = None
            case VideoDeleted():
                self.deleted.add(event.video_id)
        self.follow(event)

    def follow(self, event: Event) -> None:
        match event:
            case VideoPublished() | VideoDeleted():
                self.ended.add(event.video_id)
                self.done.add(event.video_id)
            case VideoFailed():
                self.ended.add(event.video_id)
            case VideoRetried():
                self.ended.discard(event.video_id)

    def leaked(self, key: str) -> bool:
        """Whether it is a chunk of a video that has ended, or a note that no retry can need."""
        prefix, owner = key.split("/")[:2]
        if f"{prefix}/" == prefixes.CHUNKS:
            return self.videos.get(owner, "") in self.ended
        return owner in self.done

    def wanted(self) -> dict[str, int | None]:
        """Less what belongs to deleted videos; their originals stay (ING-7)."""
        gone = tuple(prefixes.of_video(video_id) for video_id in self.deleted)
        return {k: v for k, v in self.sizes.items() if not (gone and k.startswith(gone))}


async def fsck(log: Log, objects: Objects, partitions: int) -> Mapping[str, Any]:
    """`checked`, and the keys that are `missing`, `altered`, `orphans` (nobody's) or `leaked`.

    Leaked are chunks of videos that have ended, and notes of works that nobody can read again:
    they should be gone by now.
    """
    expected = Expected()
    for topic in READ:
        for partition in range(partitions):
            await expected.read(log, topic, partition)
    return await asyncio.to_thread(check, expected, objects)


def check(expected: Expected, objects: Objects) -> dict[str, Any]:
    wanted = expected.wanted()
    missing, altered = [], []
    for key, size_bytes in sorted(wanted.items()):
        stat = objects.head(key)
        if stat is None:
            missing.append(key)
        elif (size_bytes is not None and stat.size_bytes != size_bytes) or not whole(
            objects, key, stat.size_bytes, stat.etag, expected.digests.get(key)
        ):
            altered.append(key)
    folders = {folder for key in wanted for folder in folders_of(key)}
    orphans = [
        key for key in stored(objects, KEPT) if key not in wanted and not playlist(key, folders)
    ]
    return {
        "checked": len(wanted) - len(missing) - len(altered),
        "missing": missing,
        "altered": altered,
        "orphans": orphans,
        "leaked": [
            key
            for key in stored(objects, (prefixes.CHUNKS, prefixes.NOTES))
            if expected.leaked(key)
        ],
    }


def folders_of(key: str) -> Iterable[str]:
    """Every folder that the key is in."""
    while key := key.rpartition("/")[0]:
        yield key


def playlist(key: str, folders: Collection[str]) -> bool:
    """A playlist of a video that has a master: media playlists are named by it, not by the log."""
    return key.endswith(".m3u8") and key.rpartition("/")[0] in folders


def whole(objects: Objects, key: str, size_bytes: int, etag: str, digest: str | None) -> bool:
    """Every byte read again: its SHA-256 where the log says it, else the MD5 the store gave."""
    plain, strong, place = md5(usedforsecurity=False), sha256(), 0
    try:
        while place < size_bytes:
            block = objects.read(key, place, BLOCK_BYTES)
            if not block:
                return False
            plain.update(block)
            strong.update(block)
            place += len(block)
    except NotFound:
        return False
    if digest is not None:
        return strong.hexdigest() == digest
    return "-" in etag or plain.hexdigest() == etag


def stored(objects: Objects, prefixes: Iterable[str]) -> Iterable[str]:
    for prefix in prefixes:
        after = ""
        while page := objects.list(prefix, after, PAGE):
            yield from (stat.key for stat in page)
            after = page[-1].key
