"""Inference requests and responses of the Open Inference Protocol V2, over HTTP.

Two forms, which may be mixed tensor by tensor:

    JSON     Open Inference Protocol V2, "Inference Request JSON Object" and "Inference
             Response JSON Object".
    binary   Triton Inference Server, "Binary Tensor Data Extension": the same JSON
             object, then the tensors that name a `binary_data_size`, in its order. The
             HTTP header `Inference-Header-Content-Length` says where the JSON ends.

Bytes become arrays, and arrays bytes, without a copy wherever the element type allows
it; `tensor_data` has the rules for elements, `tensor_entries` those for tensors.

    body = encode_request(InferRequest(inputs=(Tensor.of("x", array),)))
    request = parse_request(b"".join(body.buffers), body.header_length)
    body = encode_response(response, binary_outputs=request.wants_binary)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blindai.errors import TensorError
from blindai.protocol import tensor_entries, tensor_json
from blindai.protocol.datatypes import Datatype
from blindai.protocol.tensor import DEFAULT_LIMITS, Limits, Tensor
from blindai.protocol.tensor_json import Fields, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from blindai.protocol.buffers import Bytes

__all__ = [
    "DEFAULT_LIMITS",
    "HEADER_LENGTH",
    "Body",
    "Datatype",
    "InferRequest",
    "InferResponse",
    "Limits",
    "Parameter",
    "RequestedOutput",
    "Tensor",
    "encode_request",
    "encode_response",
    "parse_request",
    "parse_response",
]

HEADER_LENGTH = "Inference-Header-Content-Length"

# Blanks behind the JSON bring the first tensor to a multiple of this many bytes, so
# that arrays of a body that is itself aligned are aligned. Readers need not rely on it.
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that the client asks for.

    Attributes:
        name: The model's name for it.
        binary: Whether it is to be binary, or None to follow the request.
        parameters: Parameters other than `binary_data`.
    """

    name: str
    binary: bool | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRequest:
    """A request to run a model.

    Attributes:
        inputs: The model's inputs, each name once.
        outputs: The outputs asked for, each name once; empty for all of them.
        id: The client's name for the request, repeated in the response.
        parameters: Parameters of the request, `binary_data_output` among them.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[RequestedOutput, ...] = ()
    id: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_unique("inputs", self.inputs)
        _require_unique("outputs", self.outputs)

    def wants_binary(self, output: str) -> bool:
        """Whether the client asks for an output in binary.

        An output's own `binary_data` decides, then the request's `binary_data_output`;
        without either, the output is JSON.
        """
        for requested in self.outputs:
            if requested.name == output and requested.binary is not None:
                return requested.binary
        return self.parameters.get("binary_data_output") is True


@dataclass(frozen=True, slots=True, kw_only=True)
class InferResponse:
    """What a model answered.

    Attributes:
        model_name: The model that ran.
        model_version: Its version, if it has one.
        id: The id of the request, if it had one.
        outputs: The model's outputs, each name once.
        parameters: Parameters of the response.
    """

    model_name: str
    model_version: str | None = None
    id: str | None = None
    outputs: tuple[Tensor, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_unique("outputs", self.outputs)


@dataclass(frozen=True, slots=True)
class Body:
    """An HTTP body to send.

    Attributes:
        buffers: The body in pieces. Views among them show the arrays that were
            encoded: send them before the arrays change.
        header_length: Bytes of JSON, to send as `Inference-Header-Content-Length`;
            None where the body is JSON alone.
    """

    buffers: list[Bytes] = field(repr=False)
    header_length: int | None

    @property
    def content_length(self) -> int:
        """Bytes of all buffers."""
        return sum(map(len, self.buffers))


def encode_request(request: InferRequest, *, binary: bool = True) -> Body:
    """Write a request.

    Args:
        request: What to write.
        binary: Whether its inputs go as binary data, or all as JSON.

    Raises:
        TensorError: If JSON has no form for a value.
    """
    inputs, buffers = tensor_entries.encode(
        request.inputs, "inputs", lambda _name: binary
    )
    fields = _present(id=request.id, parameters=dict(request.parameters))
    fields["inputs"] = inputs
    if request.outputs:
        fields["outputs"] = [_encode_requested(output) for output in request.outputs]
    return _join(fields, buffers)


def encode_response(
    response: InferResponse, *, binary_outputs: Callable[[str], bool]
) -> Body:
    """Write a response.

    Args:
        response: What to write.
        binary_outputs: Whether the output of a name goes as binary data: usually
            `InferRequest.wants_binary`; for a set of names, its `__contains__`.

    Raises:
        TensorError: If JSON has no form for a value.
    """
    outputs, buffers = tensor_entries.encode(
        response.outputs, "outputs", binary_outputs
    )
    fields = _present(
        model_name=response.model_name,
        model_version=response.model_version,
        id=response.id,
        parameters=dict(response.parameters),
    )
    fields["outputs"] = outputs
    return _join(fields, buffers)


def parse_request(
    body: Bytes | Sequence[Bytes],
    header_length: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> InferRequest:
    """Read a request.

    Args:
        body: The whole HTTP body, or the pieces it came in; they are not joined where
            the first is the JSON and another one all tensors. A memoryview is one of
            bytes, in one dimension.
        header_length: `Inference-Header-Content-Length`, or None where it is absent.
        limits: What the body may cost.

    Returns:
        The request. Its arrays are views onto `body` where they were binary.

    Raises:
        TensorError: If the body is not a request, or passes a limit.
    """
    fields, rest = _split(body, header_length, limits)
    parameters = tensor_json.read_parameters(fields, "request")
    tensor_json.read_flag(parameters, "binary_data_output", "request")
    return InferRequest(
        inputs=tensor_entries.parse(fields, "inputs", rest, limits),
        outputs=_parse_requested(fields, limits),
        id=tensor_json.read_optional_text(fields, "id", "request"),
        parameters=parameters,
    )


def parse_response(
    body: Bytes,
    header_length: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> InferResponse:
    """Read a response; as `parse_request`.

    Raises:
        TensorError: If the body is not a response, or passes a limit.
    """
    fields, rest = _split(body, header_length, limits)
    return InferResponse(
        model_name=tensor_json.read_text(fields, "model_name", "response"),
        model_version=tensor_json.read_optional_text(
            fields, "model_version", "response"
        ),
        id=tensor_json.read_optional_text(fields, "id", "response"),
        outputs=tensor_entries.parse(fields, "outputs", rest, limits),
        parameters=tensor_json.read_parameters(fields, "response"),
    )


def _split(
    body: Bytes | Sequence[Bytes], header_length: int | None, limits: Limits
) -> tuple[Fields, memoryview]:
    pieces = [body] if isinstance(body, bytes | bytearray | memoryview) else body
    size = sum(map(len, pieces))
    length, highest = size, limits.max_json_bytes
    if header_length is not None:
        if not 0 <= header_length <= size:
            raise TensorError(
                f"{HEADER_LENGTH}: expected at most the body's {size} bytes,"
                " got a length outside"
            )
        length, highest = header_length, limits.max_header_bytes
    if length > highest:
        raise TensorError(f"JSON: expected at most {highest} bytes, got {length}")
    if len(pieces) == 2 and len(pieces[0]) == length:
        header, rest = (memoryview(piece).toreadonly() for piece in pieces)
        return tensor_json.parse(header), rest
    whole = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
    return tensor_json.parse(whole[:length]), whole.toreadonly()[length:]


def _join(fields: Mapping[str, object], buffers: list[Bytes]) -> Body:
    header = tensor_json.encode(fields)
    if not buffers:
        return Body([header], None)
    header += b" " * (-len(header) % _ALIGNMENT)
    return Body([header, *buffers], len(header))


def _parse_requested(fields: Fields, limits: Limits) -> tuple[RequestedOutput, ...]:
    if "outputs" not in fields:
        return ()
    entries = tensor_entries.read(fields, "outputs", limits)
    return tuple(_parse_requested_output(entry, what) for what, entry in entries)


def _parse_requested_output(entry: Fields, what: str) -> RequestedOutput:
    parameters = tensor_json.read_parameters(entry, what)
    binary = tensor_json.read_flag(parameters, "binary_data", what)
    parameters.pop("binary_data", None)
    return RequestedOutput(
        tensor_json.read_text(entry, "name", what), binary, parameters
    )


def _encode_requested(output: RequestedOutput) -> Fields:
    parameters = dict(output.parameters)
    if output.binary is not None:
        parameters["binary_data"] = output.binary
    return _present(name=output.name, parameters=parameters)


def _present(**fields: object) -> Fields:
    return {key: value for key, value in fields.items() if value not in (None, {})}


def _require_unique(what: str, named: Iterable[Tensor | RequestedOutput]) -> None:
    seen: set[str] = set()
    for each in named:
        if each.name in seen:
            raise TensorError(
                f"{what}: expected each name once, got {each.name!r} twice"
            )
        seen.add(each.name)
