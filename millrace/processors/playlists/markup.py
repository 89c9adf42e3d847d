"""XML as a small tree whose elements know their line, and the tree as text.

Why it exists: an error in an MPD must name its line, which the standard library's tree forgets.
It must never resolve anything: a document type, and with it every entity, is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from millrace.processors.playlists.errors import PlaylistError

# An MPD is seven deep; recursion over the tree must stay bounded.
DEPTH_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Element:
    """An element: its name (with its namespace and a space before, where read), what it holds."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: tuple["Element", ...] = ()
    text: str = ""
    line: int = field(default=0, compare=False)

    def required(self, name: str) -> str:
        value = self.attributes.get(name)
        if value is None:
            raise PlaylistError(f"@{name} is missing", self.line)
        return value

    def all(self, name: str) -> Iterator["Element"]:
        return (child for child in self.children if child.name == name)

    def optional(self, name: str) -> "Element | None":
        """The child of that name, which may come once."""
        found = list(self.all(name))
        if len(found) > 1:
            raise PlaylistError(f"<{local(name)}> is said twice", found[1].line)
        return found[0] if found else None

    def only(self, name: str) -> "Element":
        found = self.optional(name)
        if found is None:
            raise PlaylistError(f"<{local(name)}> is missing", self.line)
        return found


def local(name: str) -> str:
    """The name without its namespace."""
    return name.rpartition(" ")[2]


@dataclass(slots=True)
class _Open:
    """An element whose end has not been read."""

    name: str
    attributes: dict[str, str]
    line: int
    children: list[Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def closed(self) -> Element:
        text = "".join(self.text).strip()
        return Element(self.name, self.attributes, tuple(self.children), text, self.line)


def read(text: str) -> Element:
    """The root element. Raises PlaylistError for whatever is not well-formed."""
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    stack = [_Open("", {}, 0)]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > DEPTH_MAX:
            raise PlaylistError("elements lie too deep", parser.CurrentLineNumber)
        stack.append(_Open(name, attributes, parser.CurrentLineNumber))

    def end(_name: str) -> None:
        element = stack.pop().closed()
        stack[-1].children.append(element)

    def characters(data: str) -> None:
        stack[-1].text.append(data)

    def refuse(*_declared: object) -> None:
        raise PlaylistError("a document type is refused", parser.CurrentLineNumber)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as error:
        raise PlaylistError(expat.ErrorString(error.code), error.lineno) from error
    return stack[0].children[0]


def written(root: Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + "\n".join(_lines(root, "")) + "\n"


def _lines(element: Element, indent: str) -> Iterator[str]:
    pairs = "".join(f" {name}={quoteattr(value)}" for name, value in element.attributes.items())
    opening = f"{indent}<{element.name}{pairs}"
    if element.children:
        yield opening + ">"
        for child in element.children:
            yield from _lines(child, indent + "  ")
        yield f"{indent}</{element.name}>"
    elif element.text:
        yield f"{opening}>{escape(element.text)}</{element.name}>"
    else:
        yield opening + "/>"
