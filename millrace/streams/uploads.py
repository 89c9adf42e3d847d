"""The topology of uploads: from an announced session to a stored original, or to nothing."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from millrace.processors import uploads
from millrace.processors.emit import Emit
from millrace.schemas.envelope import Recorded
from millrace.schemas.events import ObjectSeen
from millrace.schemas.topics import DELETION_REQUESTS, OBJECT_NOTIFICATIONS, PUBLICATIONS, UPLOADS
from millrace.sinks import tables
from millrace.sinks.ports import InvalidKey
from millrace.streams import rows
from millrace.streams.declarations import Failure, Fold, Project, Topology, Work, WorkPorts

ORIGINALS = "originals"
CREATED = "ObjectCreated:"


def rekey(recorded: Recorded[bytes], ports: WorkPorts) -> Iterator[Emit]:
    """The store's notifications, re-keyed by video after a HEAD: they are hints, never believed."""
    for key in noticed(recorded.event):
        parts = key.split("/")
        if parts[0] != ORIGINALS or len(parts) != 3:
            continue
        with suppress(InvalidKey):  # nobody's here: no object of ours has such a key
            stat = ports.objects.head(key)
            if stat is not None:
                seen = ObjectSeen(parts[1], parts[2], key, stat.size_bytes, stat.etag)
                yield Emit(UPLOADS, seen)


def noticed(body: bytes) -> list[str]:
    """Keys of the objects that a notification in S3's format says were made.

    AWS encodes keys for URLs and prefixes no event's name with s3:, others do the opposite; a key
    of ours has neither % nor a space, so one reading serves all dialects.
    """
    try:
        records = json.loads(body)["Records"]
        made = [each for each in records if CREATED in each["eventName"]]
        return [unquote(each["s3"]["object"]["key"]) for each in made]
    except (ValueError, KeyError, TypeError, AttributeError):
        # Test events name no object; what others hide the reconciler finds.
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
        Project("upload-rows", UPLOADS, tables.UPLOADS, rows.uploads, first_counts=True),
        Project("upload-end-rows", UPLOADS, tables.UPLOAD_ENDS, rows.upload_ends),
    ),
)
