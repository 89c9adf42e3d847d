"""Avro single-object encoding of events: two marker bytes, the schema's fingerprint, the body.

No registry at run time: the schemas that a record may name are the package's own, today's and all
released ones. A fingerprint that is not among them is from the future and must wait
(UnknownFingerprint); bytes that do not fit their schema are a bad record (BadRecord).
"""

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from millrace.schemas.avro_files import Schema, inline, load_all, released
from millrace.schemas.events import EVENTS, Event

MARKER = b"\xc3\x01"
HEAD_BYTES = 10


class BadRecord(Exception):
    """The bytes are no event, and will never be."""


class UnknownFingerprint(Exception):
    """The bytes name a schema that this build does not have; a newer one may."""

    def __init__(self, value: str) -> None:
        super().__init__(f"schema with fingerprint {value} is not known to this build")
        self.value = value


@dataclass(frozen=True, slots=True)
class Registry:
    """Parsed schemas by event name and by head (marker and fingerprint)."""

    writers: dict[str, tuple[bytes, Any]]
    readers: dict[bytes, tuple[type[Event], Any, Any]]


def head_of(schema: Schema) -> bytes:
    """Marker and CRC-64-AVRO fingerprint, little-endian, of the schema's canonical form."""
    digest = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    # fastavro gives the bytes in the order in which single-object encoding writes them.
    return MARKER + bytes.fromhex(digest)


def build(
    classes: tuple[type[Event], ...], schemas: dict[str, Schema], old: list[Schema]
) -> Registry:
    """A registry that writes the schemas and reads them and the old ones."""
    registry = Registry({}, {})
    for cls in classes:
        whole = inline(schemas[cls.NAME], schemas)
        parsed, head = fastavro.parse_schema(whole), head_of(whole)
        registry.writers[cls.NAME] = head, parsed
        registry.readers[head] = cls, parsed, None
    by_name = {cls.NAME: cls for cls in classes}
    for schema in old:
        head = head_of(schema)
        if head not in registry.readers and schema["name"] in by_name:
            reader = registry.writers[schema["name"]][1]
            writer = fastavro.parse_schema(schema)
            registry.readers[head] = by_name[schema["name"]], writer, reader
    return registry


@cache
def registry() -> Registry:
    """The package's own schemas; read once, on first use."""
    return build(EVENTS, load_all(), list(released()))


def encode(event: Event, using: Registry | None = None) -> bytes:
    """The event in single-object encoding."""
    head, schema = (using or registry()).writers[event.NAME]
    out = BytesIO()
    out.write(head)
    fastavro.schemaless_writer(out, schema, event.as_record())
    return out.getvalue()


def decode(data: bytes, using: Registry | None = None) -> Event:
    """The event. Raises BadRecord or UnknownFingerprint."""
    head = data[:HEAD_BYTES]
    entry = (using or registry()).readers.get(head)
    if entry is None:
        if len(head) == HEAD_BYTES and head.startswith(MARKER):
            raise UnknownFingerprint(head[2:].hex())
        raise BadRecord("not in Avro single-object encoding")
    cls, writer, reader = entry
    body = BytesIO(data)
    body.seek(HEAD_BYTES)
    try:
        record: Any = fastavro.schemaless_reader(body, writer, reader)
    except (EOFError, ValueError, IndexError, KeyError, OverflowError, MemoryError) as problem:
        raise BadRecord(f"body is no {cls.NAME}: {problem!r}") from problem
    if body.tell() != len(data):
        raise BadRecord(f"{len(data) - body.tell()} bytes after the end of {cls.NAME}")
    return cls.from_record(record)
