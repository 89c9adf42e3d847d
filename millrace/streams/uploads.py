"""The topology of uploads: from an announced session to a stored original, or to nothing."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from millrace.processors import uploads
from millrace.processors.emit import Emit
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import ObjectSeen
from millrace.schemas.topics import DELETION_REQUESTS, OBJECT_NOTIFICATIONS, PUBLICATIONS, UPLOADS
from millrace.sinks import tables
from millrace.streams import rows
from millrace.streams.declarations import Failure, Fold, Project, Topology, Work, WorkPorts

ORIGINALS = "originals"


def rekey(recorded: Recorded[bytes], ports: WorkPorts) -> Iterator[Emit]:
    """The store's notifications, re-keyed by video after a HEAD: they are hints, never believed."""
    for key in noticed(recorded.event):
        parts = key.split("/")
        if parts[0] != ORIGINALS or len(parts) != 3:
            continue
        stat = ports.objects.head(key)
        if stat is not None:
            seen = ObjectSeen(parts[1], parts[2], key, stat.size_bytes, stat.etag)
            yield Emit(UPLOADS, seen)


def noticed(body: bytes) -> list[str]:
    """Keys of the objects that a notification in S3's format says were made."""
    try:
        records = json.loads(body)["Records"]
        return [unquote_plus(record["s3"]["object"]["key"]) for record in records]
    except (ValueError, KeyError, TypeError):
        # Test events and other dialects name no object; the reconciler finds what they hide.
        return []


def no_hint(_recorded: Recorded[Any], _failure: Failure) -> list[Emit]:
    """A hint that could not be followed is no loss: completion says the same."""
    return []


UPLOADS_TOPOLOGY = Topology(
    name="uploads",
    lead=UPLOADS,
    steps=(
        Work(
            name="rekey",
            lanes=(OBJECT_NOTIFICATIONS,),
            takes=(),
            writes=(UPLOADS,),
            do=rekey,
            failed=no_hint,
            timeout_s=30.0,
        ),
        Fold(
            name="uploads",
            version=1,
            reads=(UPLOADS, PUBLICATIONS),
            writes=(UPLOADS, DELETION_REQUESTS),
            state=uploads.Session,
            apply=uploads.apply,
            deadline=uploads.deadline,
            waiting=uploads.waiting,
        ),
        Project("upload-rows", UPLOADS, tables.UPLOADS, rows.uploads),
        Project("upload-end-rows", UPLOADS, tables.UPLOAD_ENDS, rows.upload_ends),
    ),
)
