"""Reads the .avsc files, the one definition of every event, and inlines the types they share.

It must never know an event by name: what it knows is the folder.
"""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

NAMESPACE = "millrace"
Schema = dict[str, Any]


def load_all() -> dict[str, Schema]:
    """Every schema as written, by its short name, in alphabetical order."""
    folder = files("millrace.schemas") / "avro"
    texts = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir()}
    return {
        name.removesuffix(".avsc"): json.loads(texts[name])
        for name in sorted(texts)
        if name.endswith(".avsc")
    }


def released() -> Iterator[Schema]:
    """Every schema that a release ever wrote, whole; a log may hold records of any of them."""
    text = (files("millrace.schemas") / "released.jsonl").read_text("utf-8")
    for line in text.splitlines():
        yield json.loads(line)


def inline(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    """The schema with every shared type spelled out where it is first used."""
    seen: set[str] = set()

    def walk(node: Any) -> Any:
        match node:
            case str() if node.startswith(NAMESPACE + "."):
                name = node.removeprefix(NAMESPACE + ".")
                return node if name in seen else walk(schemas[name])
            case list():
                return [walk(branch) for branch in node]
            case {"type": "array"}:
                return {**node, "items": walk(node["items"])}
            case {"type": "record"}:
                seen.add(node["name"])
                fields = [{**field, "type": walk(field["type"])} for field in node["fields"]]
                return {**node, "fields": fields}
            case _:
                return node

    whole: Schema = walk(schema)
    return whole
