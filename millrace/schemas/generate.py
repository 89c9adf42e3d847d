"""Writes events.py from the .avsc files; the tests compare what it writes with what is committed.

`python -m millrace.schemas.generate` writes it, `--release` also keeps the schemas as released.
It must never add meaning of its own: a field, a default or a doc comes from the .avsc alone.
"""

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from millrace.schemas.avro_files import NAMESPACE, Schema, inline, load_all, released

HERE = Path(__file__).parent
PYTHON = {
    "string": "str",
    "int": "int",
    "long": "int",
    "double": "float",
    "boolean": "bool",
    "bytes": "bytes",
}
BANNER = '''"""Generated from avro/*.avsc by `python -m millrace.schemas.generate`. Do not edit.

Frozen dataclasses, one an event or shared type; docs, names and units are the .avsc's.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self


class Event:
    """What happened or what was asked for; KIND says which (event, progress or request)."""

    __slots__ = ()
    NAME: ClassVar[str]
    KIND: ClassVar[str]

    def as_record(self) -> dict[str, Any]:
        """The fields as fastavro writes them."""
        raise NotImplementedError

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """The event from what fastavro read."""
        raise NotImplementedError
'''


def short(reference: str) -> str:
    return reference.removeprefix(NAMESPACE + ".")


def hint(node: Any) -> str:
    match node:
        case ["null", branch]:
            return f"{hint(branch)} | None"
        case {"type": "array"}:
            return f"tuple[{hint(node['items'])}, ...]"
        case _:
            return PYTHON.get(node) or short(node)


def write(node: Any, value: str) -> str:
    """The expression that turns a field into what fastavro takes."""
    match node:
        case ["null", branch]:
            inner = write(branch, value)
            return value if inner == value else f"None if {value} is None else {inner}"
        case {"type": "array"}:
            inner = write(node["items"], "item")
            return f"list({value})" if inner == "item" else f"[{inner} for item in {value}]"
        case _:
            return value if node in PYTHON else f"{value}.as_record()"


def read(node: Any, value: str) -> str:
    """The expression that turns what fastavro gave into a field."""
    match node:
        case ["null", branch]:
            inner = read(branch, value)
            return value if inner == value else f"None if {value} is None else {inner}"
        case {"type": "array"}:
            inner = read(node["items"], "item")
            return f"tuple({value})" if inner == "item" else f"tuple({inner} for item in {value})"
        case _:
            return value if node in PYTHON else f"{short(node)}.from_record({value})"


def class_text(schema: Schema) -> str:
    name, kind = schema["name"], schema.get("kind")
    lines = ["", "", "@dataclass(frozen=True, slots=True)"]
    lines.append(f"class {name}(Event):" if kind else f"class {name}:")
    lines += [f'    """{schema["doc"]}"""', ""]
    if kind:
        lines += [f'    NAME: ClassVar[str] = "{name}"', f'    KIND: ClassVar[str] = "{kind}"', ""]
    fields = schema["fields"]
    # A field with a default may stand before one without: keywords only keep the .avsc's order.
    for field in fields:
        lines += textwrap.wrap(
            field["doc"], 94, initial_indent="    # ", subsequent_indent="    # "
        )
        default = " = None" if "default" in field else ""
        lines.append(f"    {field['name']}: {hint(field['type'])}{default}")
    lines += ["", "    def as_record(self) -> dict[str, Any]:", "        return {"]
    lines += [
        f'            "{f["name"]}": {write(f["type"], "self." + f["name"])},' for f in fields
    ]
    lines += ["        }", "", "    @classmethod"]
    lines += ["    def from_record(cls, record: dict[str, Any]) -> Self:", "        return cls("]
    for field in fields:
        value = read(field["type"], f'record["{field["name"]}"]')
        lines.append(f"            {field['name']}={value},")
    lines.append("        )")
    return "\n".join(lines).replace("@dataclass(frozen=True, slots=True)", decorator(fields))


def decorator(fields: list[dict[str, Any]]) -> str:
    seen_default = False
    for field in fields:
        if "default" in field:
            seen_default = True
        elif seen_default:
            return "@dataclass(frozen=True, slots=True, kw_only=True)"
    return "@dataclass(frozen=True, slots=True)"


def ordered(schemas: dict[str, Schema]) -> list[Schema]:
    """Shared types before the events that hold them, each after what it holds."""
    done: dict[str, Schema] = {}

    def visit(name: str) -> None:
        if name in done:
            return
        text = json.dumps(schemas[name]["fields"])
        for other in schemas:
            if other != name and f'"{NAMESPACE}.{other}"' in text:
                visit(other)
        done[name] = schemas[name]

    for name in sorted(schemas, key=lambda n: ("kind" in schemas[n], n)):
        visit(name)
    return list(done.values())


def render() -> str:
    """The whole text of events.py."""
    schemas = ordered(load_all())
    body = BANNER + "\n".join(class_text(schema) for schema in schemas)
    names = [schema["name"] for schema in schemas if "kind" in schema]
    table = "\n".join(f"    {name}," for name in names)
    return f"{body}\n\n\nEVENTS: tuple[type[Event], ...] = (\n{table}\n)\n"


def release() -> str:
    """The text of released.jsonl with today's schemas added where they are new."""
    schemas = load_all()
    kept = {json.dumps(schema, sort_keys=True) for schema in released()}
    whole = [inline(schema, schemas) for schema in schemas.values() if "kind" in schema]
    kept |= {json.dumps(schema, sort_keys=True) for schema in whole}
    return "".join(line + "\n" for line in sorted(kept))


def main() -> None:
    (HERE / "events.py").write_text(render(), "utf-8")
    if "--release" in sys.argv[1:]:
        (HERE / "released.jsonl").write_text(release(), "utf-8")


if __name__ == "__main__":
    main()
