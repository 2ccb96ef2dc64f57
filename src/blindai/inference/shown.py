"""What a hostile file calls things, in words of ours: printable, and cut to size."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnx import NodeProto

_CHARACTERS: Final = 80
_DIMENSIONS: Final = 8


def shown(name: str | bytes) -> str:
    """A name in quotes; protobuf gives bytes for one that is not UTF-8."""
    text = repr(name[: _CHARACTERS + 1])
    return (
        text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 3]}...{text[-1]}"
    )


def shown_node(node: NodeProto) -> str:
    """A node by its name, or where it has none by its outputs, and its operator."""
    if not node.name and node.output:
        return f"node of {shown(node.output[0])} ({shown(node.op_type)[1:-1]})"
    return f"node {shown(node.name)} ({shown(node.op_type)[1:-1]})"


def shown_dimensions(dimensions: Iterable[int]) -> str:
    """Dimensions in brackets."""
    first = list(islice(dimensions, _DIMENSIONS + 1))
    more = ", ..." if len(first) > _DIMENSIONS else ""
    return f"[{', '.join(map(str, first[:_DIMENSIONS]))}{more}]"
