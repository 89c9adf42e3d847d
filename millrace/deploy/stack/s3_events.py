"""How versitygw is told to report uploads to Kafka (ING-4); docs/decisions/0009 says why so.

It must never report every object: segments and playlists are written by ourselves, by the
thousand, and nobody waits for word of them.
"""

import json
from pathlib import Path

FILTER_FILE = "events.json"
# What makes an original; everything that is not named is left out.
REPORTED = "s3:ObjectCreated:CompleteMultipartUpload"


def event_options(kafka: str, topic: str, folder: Path) -> tuple[str, ...]:
    """Options of an `S3` that reports to a topic, which must be there when it starts: else it does
    not start. `kafka` is host:port of one broker; the filter is written into `folder`.
    """
    path = folder / FILTER_FILE
    path.write_text(json.dumps({REPORTED: True}) + "\n")
    return (
        "--event-kafka-url",
        kafka,
        "--event-kafka-topic",
        topic,
        # All records share it: they are spread over partitions in turn, and re-keyed afterwards.
        "--event-kafka-key",
        "s3",
        "--event-filter",
        str(path),
    )
