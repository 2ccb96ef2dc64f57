"""What routes answer, in the words of Open Inference Protocol V2 and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from blindai.protocol import tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.inference.model import ModelInfo, TensorSpec
    from blindai.inference.service import InferResult
    from blindai.protocol.tensors import InferRequest

_NANOSECONDS: Final = 1_000_000_000


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
    """
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


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": spec.v2_shape}
