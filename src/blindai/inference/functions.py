"""A model's own functions, and how many nodes they stand for when written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import onnx
from google.protobuf.message import (  # type: ignore[import-untyped]  # none shipped
    Message,
)

from blindai.errors import ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Operator = tuple[str, str]  # domain, name

_MAX_CALL_DEPTH: Final = 100


def messages(root: Message) -> Iterator[Message]:
    """A message and all messages in it, whatever fields they are in."""
    stack = [iter((root,))]
    while stack:
        message = next(stack[-1], None)
        if message is None:
            stack.pop()
            continue
        yield message
        stack.append(_children(message))


def _children(message: Message) -> Iterator[Message]:
    for _, value in message.ListFields():
        if isinstance(value, Message):
            yield value
        elif not isinstance(value, (int, float, str, bytes)):
            yield from (child for child in value if isinstance(child, Message))


def operator(domain: str, name: str) -> Operator:
    """An operator by the one name its domain has here."""
    return ("" if domain == "ai.onnx" else domain), name


class Functions:
    """The model's own functions, and how many nodes a call of one stands for.

    A runtime writes functions out. A few that call one another can ask for more nodes
    than memory holds. Overloads are counted together, as runtimes may not tell them
    apart.
    """

    def __init__(self, functions: Iterable[onnx.FunctionProto]) -> None:
        self._bodies: dict[Operator, list[onnx.NodeProto]] = {}
        self._sizes: dict[Operator, int] = {}
        for function in functions:
            name = operator(function.domain, function.name)
            self._bodies.setdefault(name, []).extend(function.node)

    def __contains__(self, name: Operator) -> bool:
        return name in self._bodies

    def count(self, nodes: Iterable[onnx.NodeProto], depth: int = 0) -> int:
        """Count nodes, those of subgraphs and of called functions among them.

        Raises:
            ModelRefusedError: If calls are nested too deeply, or without end.
        """
        if depth > _MAX_CALL_DEPTH:
            raise ModelRefusedError(
                f"functions: expected at most {_MAX_CALL_DEPTH} calls in one another"
            )
        parts = (message for node in nodes for message in messages(node))
        found = [node for node in parts if isinstance(node, onnx.NodeProto)]
        calls = (operator(node.domain, node.op_type) for node in found)
        return len(found) + sum(
            self._size(call, depth) for call in calls if call in self
        )

    def _size(self, call: Operator, depth: int) -> int:
        if call not in self._sizes:
            self._sizes[call] = self.count(self._bodies[call], depth + 1)
        return self._sizes[call]
