"""The object store's index: which key names which blob, and which uploads have which parts.

One SQLite transaction is what makes an object appear, change or go, so nothing is ever half there.
It must never name a blob that was not flushed before.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from millrace.sinks.ports import ObjectStat, Part
from millrace.sinks.sqlite_database import Database

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS objects (
        key TEXT PRIMARY KEY, blob TEXT NOT NULL, size_bytes INTEGER NOT NULL, etag TEXT NOT NULL,
        content_type TEXT NOT NULL, modified_ms INTEGER NOT NULL, mutable INTEGER NOT NULL
    ) WITHOUT ROWID""",
    # etag is null until the upload is complete; then the row is what a repeat is answered from.
    """CREATE TABLE IF NOT EXISTS uploads (
        id TEXT PRIMARY KEY, key TEXT NOT NULL, content_type TEXT NOT NULL,
        started_ms INTEGER NOT NULL, etag TEXT
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS parts (
        upload TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL,
        size_bytes INTEGER NOT NULL, etag TEXT NOT NULL, PRIMARY KEY (upload, number)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS notifications (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL
    )""",
)
# Sorts after every key: keys are ASCII.
_LAST = "\x7f"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and the blob with its bytes."""

    stat: ObjectStat
    blob: str


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part and the blob with its bytes."""

    part: Part
    blob: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload; etag None until it is complete."""

    id: str
    key: str
    content_type: str
    started_ms: int
    etag: str | None


def open_index(path: Path) -> Database:
    """The index in one file, made if missing. Raises StoreBusy."""
    database = Database(path)
    with database.writing() as connection:
        for statement in _SCHEMA:
            connection.execute(statement)
    return database


def find_object(connection: sqlite3.Connection, key: str) -> StoredObject | None:
    row = connection.execute("SELECT * FROM objects WHERE key = ?", (key,)).fetchone()
    return None if row is None else _object(row)


def _object(row: tuple[str, str, int, str, str, int, int]) -> StoredObject:
    key, blob, size_bytes, etag, content_type, modified_ms, mutable = row
    stat = ObjectStat(key, size_bytes, etag, content_type, modified_ms, bool(mutable))
    return StoredObject(stat, blob)


def list_objects(
    connection: sqlite3.Connection, prefix: str, after: str, limit: int
) -> tuple[StoredObject, ...]:
    rows = connection.execute(
        "SELECT * FROM objects WHERE key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?",
        (prefix, prefix + _LAST, after, limit),
    )
    return tuple(_object(row) for row in rows)


def put_object(connection: sqlite3.Connection, stored: StoredObject) -> None:
    stat = stored.stat
    values = (stat.size_bytes, stat.etag, stat.content_type, stat.modified_ms, stat.mutable)
    connection.execute(
        "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
        (stat.key, stored.blob, *values),
    )


def delete_objects(connection: sqlite3.Connection, first: str, last: str) -> tuple[str, ...]:
    """Deletes the keys from first to last, both included; their blobs, now rubbish."""
    bounds = (first, last)
    rows = connection.execute("SELECT blob FROM objects WHERE key BETWEEN ? AND ?", bounds)
    blobs = tuple(blob for (blob,) in rows.fetchall())
    connection.execute("DELETE FROM objects WHERE key BETWEEN ? AND ?", bounds)
    return blobs


def prefix_bounds(prefix: str) -> tuple[str, str]:
    """First and last key that could be below a prefix."""
    return prefix, prefix + _LAST


def put_upload(connection: sqlite3.Connection, upload: Upload) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?)",
        (upload.id, upload.key, upload.content_type, upload.started_ms, upload.etag),
    )


def find_upload(connection: sqlite3.Connection, upload_id: str) -> Upload | None:
    row = connection.execute("SELECT * FROM uploads WHERE id = ?", (upload_id,)).fetchone()
    return None if row is None else Upload(*row)


def open_uploads(connection: sqlite3.Connection, prefix: str) -> tuple[Upload, ...]:
    """Uploads below a prefix that were never completed, by key."""
    rows = connection.execute(
        "SELECT * FROM uploads WHERE etag IS NULL AND key >= ? AND key < ?"
        " ORDER BY key, started_ms",
        (prefix, prefix + _LAST),
    )
    return tuple(Upload(*row) for row in rows)


def delete_upload(connection: sqlite3.Connection, upload_id: str) -> None:
    connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))


def put_part(connection: sqlite3.Connection, upload_id: str, stored: StoredPart) -> None:
    number, size_bytes, etag = stored.part
    connection.execute(
        "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)",
        (upload_id, number, stored.blob, size_bytes, etag),
    )


def find_parts(connection: sqlite3.Connection, upload_id: str) -> dict[int, StoredPart]:
    """The parts that are stored, by number."""
    rows = connection.execute(
        "SELECT number, size_bytes, etag, blob FROM parts WHERE upload = ? ORDER BY number",
        (upload_id,),
    )
    return {row[0]: StoredPart(Part(*row[:3]), row[3]) for row in rows}


def delete_parts(connection: sqlite3.Connection, upload_id: str) -> tuple[str, ...]:
    """Deletes an upload's parts; their blobs, now rubbish."""
    blobs = tuple(stored.blob for stored in find_parts(connection, upload_id).values())
    connection.execute("DELETE FROM parts WHERE upload = ?", (upload_id,))
    return blobs


def named_blobs(connection: sqlite3.Connection) -> set[str]:
    """Every blob that something names."""
    rows = connection.execute("SELECT blob FROM objects UNION ALL SELECT blob FROM parts")
    return {blob for (blob,) in rows}


def put_notification(connection: sqlite3.Connection, body: str) -> int:
    """Its number, by which it is taken away once it was delivered."""
    cursor = connection.execute("INSERT INTO notifications (body) VALUES (?)", (body,))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def find_notifications(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    return connection.execute("SELECT sequence, body FROM notifications ORDER BY 1").fetchall()


def delete_notification(connection: sqlite3.Connection, sequence: int) -> None:
    connection.execute("DELETE FROM notifications WHERE sequence = ?", (sequence,))
