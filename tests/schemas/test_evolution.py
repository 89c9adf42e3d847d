"""What was ever written can be read, and what today writes could be read by yesterday's build."""

import copy
import json
from io import BytesIO
from typing import Any

import fastavro
import pytest

from millrace.schemas import codec
from millrace.schemas import events as e
from millrace.schemas.avro_files import Schema, inline, load_all, released
from millrace.schemas.generate import release


def whole(name: str) -> Schema:
    return inline(load_all()[name], load_all())


def sample(schema: Any) -> Any:
    """A value of the schema, the same each time."""
    match schema:
        case {"type": "record"}:
            return {field["name"]: sample(field["type"]) for field in schema["fields"]}
        case {"type": "array", "items": items}:
            return [sample(items)] if not isinstance(items, str) or items in FLAT else []
        case ["null", _]:
            return None
        case _:
            return FLAT.get(schema, 0)


FLAT = {"string": "text", "bytes": b"bytes", "boolean": True, "double": 0.5, "int": 1, "long": 1}


def written(schema: Schema, record: dict[str, Any]) -> bytes:
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(copy.deepcopy(schema)), record)
    return body.getvalue()


def test_every_released_schema_is_read_by_todays_build_and_the_other_way_round() -> None:
    found = list(released())
    assert found, "0.1.0 has written these"
    for schema in found:
        today = whole(schema["name"])
        for writer, reader in ((schema, today), (today, schema)):
            body = BytesIO(written(writer, sample(writer)))
            read = fastavro.schemaless_reader(
                body,
                fastavro.parse_schema(copy.deepcopy(writer)),
                fastavro.parse_schema(copy.deepcopy(reader)),
            )
            assert set(read) == {field["name"] for field in reader["fields"]}  # type: ignore[arg-type]


def test_todays_schemas_are_among_the_released_ones() -> None:
    kept = {json.dumps(schema, sort_keys=True) for schema in released()}
    assert set(release().splitlines()) == kept


def test_a_record_of_an_older_schema_is_read_with_the_defaults_of_the_new_one() -> None:
    old = whole("VideoEdited")
    old["fields"] = [field for field in old["fields"] if field["name"] != "visibility"]
    registry = codec.build(e.EVENTS, load_all(), [old])
    data = codec.head_of(old) + written(old, sample(old))
    assert codec.decode(data, registry) == e.VideoEdited("text")


def test_a_field_without_a_default_would_be_found() -> None:
    new = whole("VideoDeleted")
    new["fields"] = [*new["fields"], {"name": "late", "type": "string", "doc": "No default."}]
    old = whole("VideoDeleted")
    body = BytesIO(written(old, sample(old)))
    with pytest.raises(Exception, match="late"):
        fastavro.schemaless_reader(body, fastavro.parse_schema(old), fastavro.parse_schema(new))
