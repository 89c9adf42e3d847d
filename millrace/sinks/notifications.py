"""The store's own word that an object is complete, in S3's event format (ING-4).

It is a hint: it may come late, twice or, on other stores, never, so it must never be all that
starts a video. Here it is written in the transaction that makes the object appear, and taken away
after it was delivered, so that kill -9 between the two repeats it and never loses it.

The format: docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from millrace.sinks.object_index import delete_notification, find_notifications
from millrace.sinks.ports import Listed, ObjectStat
from millrace.sinks.signing import BUCKET
from millrace.sinks.sqlite_database import Database

# Called with one notification, from the thread that completed the object. Raises StoreBusy where
# it cannot be taken now: it is kept and offered again.
Notify = Callable[[dict[str, Any]], None]


def made_event(stat: ObjectStat | Listed, cause: str) -> dict[str, Any]:
    """One notification with one record, as S3 sends it; the key is URL-encoded, as there.

    `cause` tells it from others of the same object: the id of the upload that it completes.
    """
    at = datetime.fromtimestamp(stat.modified_ms / 1000, UTC)
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stat.modified_ms % 1000:03d}Z",
        "eventName": "ObjectCreated:CompleteMultipartUpload",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": BUCKET, "arn": f"arn:aws:s3:::{BUCKET}"},
            "object": {
                "key": quote_plus(stat.key, safe="/"),
                "size": stat.size_bytes,
                "eTag": stat.etag,
                # Orders the events of one key; ours is unique per upload, which is what is asked.
                "sequencer": f"{stat.modified_ms:016X}{cause[:8].upper()}",
            },
        },
    }
    return {"Records": [record]}


def deliver(index: Database, notify: Notify) -> int:
    """Offers everything undelivered, oldest first; how many there were. Raises what notify does."""
    with index.reading() as connection:
        waiting = find_notifications(connection)
    for sequence, body in waiting:
        notify(json.loads(body))
        with index.writing() as connection:
            delete_notification(connection, sequence)
    return len(waiting)
