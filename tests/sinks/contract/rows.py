"""Tables and rows that the suite of `Tables` writes."""

from typing import Any

from millrace.sinks.ports import Column, Row, Table, Tables, Version

VIDEOS = Table(
    "videos",
    partition=(Column("owner", "text"),),
    clustering=(Column("at_ms", "int"), Column("video_id", "text")),
    columns=(
        Column("title", "text"),
        Column("ready", "bool"),
        Column("score", "double"),
        Column("digest", "bytes"),
        Column("document", "json"),
    ),
)
SESSIONS = Table(
    "sessions",
    partition=(Column("id", "text"),),
    columns=(Column("user", "text"),),
    ttl_s=60,
)


def make_row(offset: int = 0, generation: int = 1, deleted: bool = False, **values: Any) -> Row:
    whole = {"owner": "ann", "at_ms": 1, "video_id": "v1", **values}
    return Row(whole, Version(generation, offset), deleted=deleted)


def title(tables: Tables) -> Any:
    row = tables.get(VIDEOS, ("ann",), (1, "v1"))
    return None if row is None else row.values["title"]
