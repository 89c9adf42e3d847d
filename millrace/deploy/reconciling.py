"""Finds what the store's notifications missed and what uploads left behind (ING-4, ING-5).

A notification is a hint that a store may lose, and a gateway may be killed between the store's word
and the log's; so somebody looks from time to time. It must never throw away what a session that
may still go on would need, and never says of itself that an original is stored: it repeats the
store's hint, and the topology decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from millrace.sinks.notifications import Notify, made_event
from millrace.sinks.ports import Listed, Objects, OpenUpload, Tables
from millrace.sinks.tables import UPLOAD_ENDS, UPLOADS

ORIGINALS = "originals/"
# Younger than this, its notification and its rows may still be on their way.
GRACE_MS = 300_000
# What clocks and projections may be late by before an upload that no session knows is nobody's.
MARGIN_MS = 86_400_000
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """Originals that a session waits for, those that no session announced, uploads nobody ends."""

    missed: tuple[Listed, ...]
    unknown: tuple[Listed, ...]
    left: tuple[OpenUpload, ...]


def find(
    objects: Objects, tables: Tables, now_ms: int, session_ms_max: int, since_ms: int = 0
) -> Found:
    """Looks and changes nothing; blocks. A session lasts `session_ms_max` milliseconds at most.

    Originals older than `since_ms` are left out: a look now and then need not read the rows of
    every video there ever was. Raises StoreBusy.
    """
    missed: list[Listed] = []
    unknown: list[Listed] = []
    for listed in originals(objects):
        if not since_ms <= listed.modified_ms < now_ms - GRACE_MS:
            continue
        upload_id = listed.key.rpartition("/")[2]
        if tables.get(UPLOAD_ENDS, (upload_id,)) is not None:
            continue
        known = tables.get(UPLOADS, (upload_id,)) is not None
        (missed if known else unknown).append(listed)
    left = [
        upload
        for upload in objects.uploads(ORIGINALS)
        if forgotten(tables, upload, now_ms - upload.started_ms, session_ms_max)
    ]
    return Found(tuple(missed), tuple(unknown), tuple(left))


def mend(found: Found, objects: Objects, notify: Notify) -> None:
    """Repeats the store's hint for what was missed, and throws parts away that nobody needs.

    Blocks; doing it twice is the same. What no session announced is an operator's to look at.
    Raises StoreBusy.
    """
    for listed in found.missed:
        notify(made_event(listed, listed.etag))
    for upload in found.left:
        objects.abort(upload.key, upload.multipart_id)


def originals(objects: Objects) -> Iterator[Listed]:
    after = ""
    while page := objects.list(ORIGINALS, after, PAGE):
        yield from page
        after = page[-1].key


def forgotten(tables: Tables, upload: OpenUpload, age_ms: int, session_ms_max: int) -> bool:
    """Whether nobody will end the upload: its session ended, chose another, or never was."""
    if age_ms < GRACE_MS:
        return False
    upload_id = upload.key.rpartition("/")[2]
    row = tables.get(UPLOADS, (upload_id,))
    if row is None:
        return age_ms > session_ms_max + MARGIN_MS
    other = row.values["started"]["multipart_id"] != upload.multipart_id
    return other or tables.get(UPLOAD_ENDS, (upload_id,)) is not None
