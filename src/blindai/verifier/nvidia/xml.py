"""XML as signed reference values have it: read strictly, and written canonically.

Reading is expat's; what has a meaning only to some readers is refused: document types
(and with them entities), processing instructions, comments, encodings other than UTF-8,
and attributes in the `xml` namespace. What is left is elements, attributes and text.

Writing is Canonical XML 1.1 (W3C Recommendation, 2 May 2008) without comments, for a
whole document or the subtree of one element. It writes the tree that was read, so what
is hashed is what is looked at: there is no second parser to deceive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn
from xml.parsers import expat

from blindai.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 16
MAX_ELEMENTS: Final = 4096
MAX_NAMESPACES: Final = 16  # in the scope of an element

_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE: Final = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        '"': "&quot;",
        "\t": "&#x9;",
        "\n": "&#xA;",
        "\r": "&#xD;",
    }
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    Attributes:
        space: Its namespace; empty where it has none.
        local: Its name there.
        written: Its name as it is written, with a prefix.
        value: Normalised.
    """

    space: str
    local: str
    written: str
    value: str


@dataclass(slots=True)
class Element:
    """One element.

    Attributes:
        space: Its namespace; empty where it has none.
        local: Its name there.
        written: Its name as it is written, with a prefix.
        scope: Namespaces by prefix, those of its ancestors too.
        attributes: All of it but namespaces.
        children: Elements and text, in order.
    """

    space: str
    local: str
    written: str
    scope: Mapping[str, str]
    attributes: tuple[Attribute, ...]
    children: list[Element | str] = field(default_factory=list)

    @property
    def elements(self) -> tuple[Element, ...]:
        """The children that are elements."""
        return tuple(each for each in self.children if isinstance(each, Element))

    @property
    def text(self) -> str:
        """The text directly within it."""
        return "".join(each for each in self.children if isinstance(each, str))

    def attribute(self, local: str, space: str = "") -> str:
        """The value of an attribute.

        Raises:
            EvidenceError: If there is none.
        """
        for each in self.attributes:
            if (each.space, each.local) == (space, local):
                return each.value
        raise EvidenceError(f"XML {self.local}: expected the attribute {local}")


def parse(data: bytes) -> Element:
    """Read a document of at most 256 KiB, 4096 elements, 16 levels and namespaces.

    Raises:
        EvidenceError: If the bytes are anything else.
    """
    if len(data) > MAX_BYTES:
        raise EvidenceError(f"XML: expected at most {MAX_BYTES} bytes, got {len(data)}")
    reader = _Reader()
    parser = expat.ParserCreate("UTF-8")
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.ProcessingInstructionHandler = _refuse
    parser.CommentHandler = _refuse
    try:
        parser.Parse(data.decode(), True)  # noqa: FBT003  positional only
    except (expat.ExpatError, UnicodeDecodeError) as error:
        raise EvidenceError("XML: expected a well-formed document in UTF-8") from error
    return reader.found[0]


def canonical(element: Element, without: Element | None = None) -> bytes:
    """The canonical form of an element and all in it.

    Args:
        element: Of a whole document, or below; namespaces of its ancestors are written
            where they are in its scope (Canonical XML 1.1, 2.4).
        without: An element in it that is left out.
    """
    return "".join(_pieces(element, {}, without)).encode()


class _Reader:
    """Builds the tree as expat reads.

    Attributes:
        found: All elements in the order in which they begin, the document's first.
    """

    def __init__(self) -> None:
        self.found: list[Element] = []
        self._open: list[Element] = []

    def start(self, written: str, listed: list[str]) -> None:
        """An element begins.

        Raises:
            EvidenceError: If there are too many, or its names are not declared.
        """
        if len(self._open) == MAX_DEPTH or len(self.found) == MAX_ELEMENTS:
            raise EvidenceError(
                f"XML: expected at most {MAX_DEPTH} levels and {MAX_ELEMENTS} elements"
            )
        above = self._open[-1].scope if self._open else {"": ""}
        pairs = list(zip(listed[::2], listed[1::2], strict=True))
        scope = MappingProxyType({**above, **dict(_namespaces(pairs))})
        if len(scope) > MAX_NAMESPACES:
            raise EvidenceError(f"XML: expected at most {MAX_NAMESPACES} namespaces")
        space, local = _resolve(written, scope)
        element = Element(space, local, written, scope, _attributes(pairs, scope))
        if self._open:
            self._open[-1].children.append(element)
        self._open.append(element)
        self.found.append(element)

    def end(self, _written: str) -> None:
        """The innermost element ends."""
        self._open.pop()

    def text(self, text: str) -> None:
        """Text within the innermost element."""
        self._open[-1].children.append(text)


def _refuse(*_: object) -> NoReturn:
    raise EvidenceError("XML: expected elements and text only")


def _namespaces(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Each prefix that is declared, with its namespace.

    Raises:
        EvidenceError: If it is the prefix `xml`, none at all, or taken back.
    """
    for written, value in pairs:
        if written == "xmlns":
            yield "", value
        elif written.startswith("xmlns:"):
            prefix = written.removeprefix("xmlns:")
            if prefix in {"", "xml", "xmlns"} or ":" in prefix or not value:
                raise EvidenceError("XML: expected declarations of prefixes")
            yield prefix, value


def _attributes(
    pairs: Iterable[tuple[str, str]], scope: Mapping[str, str]
) -> tuple[Attribute, ...]:
    """What is no declaration, each once, sorted as it is written canonically.

    Raises:
        EvidenceError: If one is there twice, or its prefix is not declared.
    """
    found = {}
    for written, value in pairs:
        if written == "xmlns" or written.startswith("xmlns:"):
            continue
        space, local = _resolve(written, scope) if ":" in written else ("", written)
        if (space, local) in found:
            raise EvidenceError("XML: expected each attribute at most once")
        found[space, local] = Attribute(space, local, written, value)
    return tuple(found[name] for name in sorted(found))


def _resolve(written: str, scope: Mapping[str, str]) -> tuple[str, str]:
    """The namespace and the local part of a name.

    Raises:
        EvidenceError: If its prefix is not declared.
    """
    prefix, colon, local = written.rpartition(":")
    if prefix not in scope or not local or (colon and not prefix):
        raise EvidenceError("XML: expected names with prefixes that are declared")
    return scope[prefix], local


def _pieces(
    element: Element, rendered: Mapping[str, str], without: Element | None
) -> Iterable[str]:
    yield f"<{element.written}"
    for prefix in sorted(element.scope):
        space = element.scope[prefix]
        if rendered.get(prefix, "") != space:
            name = f"xmlns:{prefix}" if prefix else "xmlns"
            yield f' {name}="{space.translate(_ATTRIBUTE)}"'
    for each in element.attributes:
        yield f' {each.written}="{each.value.translate(_ATTRIBUTE)}"'
    yield ">"
    for child in element.children:
        if isinstance(child, str):
            yield child.translate(_TEXT)
        elif child is not without:
            yield from _pieces(child, element.scope, without)
    yield f"</{element.written}>"
