"""What routes answer, in the words of Open Inference Protocol V2 and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from blindai.errors import TooLargeError
from blindai.inference import binding
from blindai.protocol import tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.inference.model import ModelInfo, TensorSpec
    from blindai.inference.service import InferResult
    from blindai.protocol.tensors import InferRequest, Tensor

_NANOSECONDS: Final = 1_000_000_000
# Writing JSON holds up everybody: of more than this binary data has to be asked for.
MAX_JSON_ELEMENTS: Final = 1 << 20
MAX_JSON_BYTES: Final = 16 << 20  # of their elements in binary


def metadata(model: ModelInfo, versions: Sequence[ModelInfo]) -> dict[str, object]:
    """Metadata of one version of a model, beside the numbers of those that serve."""
    return {
        "name": model.name,
        "versions": [str(each.version) for each in versions if not each.unavailable],
        "platform": "onnxruntime_onnx",
        "inputs": [_tensor(spec) for spec in model.spec.inputs],
        "outputs": [_tensor(spec) for spec in model.spec.outputs],
        "version": str(model.version),
        "digest": model.digest,
        "size_bytes": model.size_bytes,
        "saved": model.saved,
    }


def row(model: ModelInfo, versions: Sequence[ModelInfo]) -> dict[str, object]:
    """One version of a model in the repository's index."""
    state = "UNAVAILABLE" if model.unavailable else "READY"
    return {
        **metadata(model, versions),
        "state": state,
        "reason": model.unavailable,
    }


def outcome(asked: InferRequest, result: InferResult) -> Response:
    """What a model gave.

    Args:
        asked: What was asked of it.
        result: Its outputs.

    Raises:
        TensorError: If JSON has no form for a value, and JSON was asked for.
        TooLargeError: If more is asked for in JSON than may be.
    """
    require_json_size(asked, result.outputs)
    response = tensors.InferResponse(
        model_name=result.model.name,
        model_version=str(result.model.version),
        id=asked.id,
        outputs=result.outputs,
        parameters={
            "inference_time_ns": round(result.inference_time_s * _NANOSECONDS),
            "model_digest": result.model.digest,
        },
    )
    body = tensors.encode_response(response, binary_outputs=asked.wants_binary)
    if body.header_length is None:
        return Response(body.buffers[0], media_type="application/json")
    return Response(
        b"".join(body.buffers),
        headers={tensors.HEADER_LENGTH: str(body.header_length)},
        media_type="application/octet-stream",
    )


def require_json_size(asked: InferRequest, outputs: Sequence[Tensor]) -> None:
    """Require that what is to be written as JSON is not too much.

    Raises:
        TooLargeError: If it is.
    """
    texts = [each for each in outputs if not asked.wants_binary(each.name)]
    if not texts:
        return
    elements = sum(each.array.size for each in texts)
    size = sum(binding.size_of((each.array,), each.datatype) for each in texts)
    if elements > MAX_JSON_ELEMENTS or size > MAX_JSON_BYTES:
        raise TooLargeError(
            f"outputs: expected at most {MAX_JSON_ELEMENTS} elements and"
            f" {MAX_JSON_BYTES} bytes in JSON, got {elements} and {size}:"
            " ask for binary data"
        )


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": spec.v2_shape}
