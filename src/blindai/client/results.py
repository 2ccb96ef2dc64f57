"""What a client gets back: tensors, answers, and what is known of models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blindai.errors import TensorError
from blindai.protocol.datatypes import Datatype

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from blindai.protocol.tensor import Tensor as WireTensor


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output as the model declares it.

    Attributes:
        name: The model's name for it.
        datatype: The type of its elements, by its V2 name.
        shape: Its dimensions; -1 where any size will do.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One version of a model that the enclave serves.

    Attributes:
        name: What requests call it.
        digest: SHA-256 of the ONNX file, 64 hexadecimal digits.
        size_bytes: Size of the ONNX file.
        inputs: What `predict` has to bring.
        outputs: What it gives.
        version: Its number among those of this name, from 1.
        saved: Whether it outlives the enclave's process.
        unavailable: Why it cannot be served; empty if it can.
    """

    name: str
    digest: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    version: int = 1
    saved: bool = False
    unavailable: str = ""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What the enclave says of its server, through the sealed door.

    Attributes:
        version: Of blindai.
        ready: Whether it takes requests.
    """

    version: str
    ready: bool


@dataclass(frozen=True, slots=True)
class UploadResponse:
    """A model that was taken in.

    Attributes:
        model: What the enclave says of it; the digest was compared with what was sent.
        owner_token: Lets its holder replace and delete the model, where the enclave
            runs without API keys; None where it knows the owner by the key.
    """

    model: ModelInfo
    owner_token: str | None = field(default=None, repr=False)

    @property
    def model_name(self) -> str:
        """What requests call the model."""
        return self.model.name

    @property
    def model_id(self) -> str:
        """The name, by the word that earlier clients had for it."""
        return self.model.name

    @property
    def digest(self) -> str:
        """SHA-256 of the ONNX file, 64 hexadecimal digits."""
        return self.model.digest

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What `predict` has to bring."""
        return self.model.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What `predict` gives."""
        return self.model.outputs


@dataclass(frozen=True, slots=True, repr=False)
class Tensor:
    """One output. Its values are not in its `repr`."""

    _wire: WireTensor

    @property
    def name(self) -> str:
        """The model's name for it."""
        return self._wire.name

    @property
    def datatype(self) -> Datatype:
        """The type of its elements, by its V2 name."""
        return self._wire.datatype

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of `as_numpy()`."""
        return self.as_numpy().dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return self._wire.shape

    def as_numpy(self) -> NDArray[Any]:
        """The values as an array: BF16 as float32, BYTES as objects of `bytes`.

        The array shows the received bytes and is read-only where it can.
        """
        if self.datatype is Datatype.BF16:
            return self._wire.as_float32()
        return self._wire.array

    def as_torch(self) -> Any:  # noqa: ANN401  torch is not a dependency
        """The values as a torch tensor, a copy of its own: BF16 as bfloat16.

        Raises:
            ImportError: If torch is not installed.
            TypeError: If torch has no such type.
        """
        import torch  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  only who calls this needs it

        array = self._wire.array.copy()
        if self.datatype is Datatype.BF16:
            return torch.from_numpy(array.view("int16")).view(torch.bfloat16)
        return torch.from_numpy(array)

    def as_flat(self) -> list[Any]:
        """The values as a flat list, row by row."""
        flat: list[Any] = self.as_numpy().ravel().tolist()
        return flat

    def as_text(self) -> str:
        """The one text that it is.

        Raises:
            TensorError: If it has no text, more than one, or one that is not UTF-8.
        """
        texts = self.as_texts()
        if len(texts) != 1:
            raise TensorError(
                f"output {self.name!r}: expected one text, got {len(texts)};"
                " as_texts() gives all"
            )
        return texts[0]

    def as_texts(self) -> list[str]:
        """All texts, flat, row by row.

        Raises:
            TensorError: If it has no text, or some that is not UTF-8.
        """
        if self.datatype is not Datatype.BYTES:
            raise TensorError(
                f"output {self.name!r}: expected BYTES, got {self.datatype.value}"
            )
        try:
            return [element.decode() for element in self._wire.array.flat]
        except UnicodeDecodeError:
            # Without the cause: it holds the bytes.
            raise TensorError(
                f"output {self.name!r}: expected UTF-8, got other bytes"
            ) from None

    def __repr__(self) -> str:
        """Name, type and shape."""
        return f"Tensor({self.name!r}, {self.datatype.value}, {self.shape})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictResponse:
    """A model's answer.

    Attributes:
        output: Its outputs, in the model's order.
        model_name: The model that ran.
        model_version: Its number.
        model_digest: SHA-256 of its ONNX file, 64 hexadecimal digits.
        inference_time: How long it ran, in seconds, as the enclave measured it.
    """

    output: tuple[Tensor, ...]
    model_name: str
    model_version: int
    model_digest: str
    inference_time: float

    @property
    def outputs(self) -> Mapping[str, Tensor]:
        """The outputs by name."""
        return {tensor.name: tensor for tensor in self.output}
