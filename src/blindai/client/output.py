"""One output of a model: an array, a torch tensor, a list, or text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blindai.errors import TensorError
from blindai.protocol.datatypes import Datatype

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from blindai.protocol.tensor import Tensor as WireTensor


@dataclass(frozen=True, slots=True, repr=False)
class Tensor:
    """One output. Its values are not in its `repr`.

    Attributes:
        wire: The tensor as it came.
    """

    wire: WireTensor

    @property
    def name(self) -> str:
        """The model's name for it."""
        return self.wire.name

    @property
    def datatype(self) -> Datatype:
        """The type of its elements, by its V2 name."""
        return self.wire.datatype

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of `as_numpy()`."""
        return self.as_numpy().dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return self.wire.shape

    def as_numpy(self) -> NDArray[Any]:
        """The values as an array: BF16 as float32, BYTES as objects of `bytes`.

        The array shows the received bytes and is read-only where it can.
        """
        if self.datatype is Datatype.BF16:
            return self.wire.as_float32()
        return self.wire.array

    def as_torch(self) -> Any:  # noqa: ANN401  torch is not a dependency
        """The values as a torch tensor, a copy of its own: BF16 as bfloat16.

        Raises:
            ImportError: If torch is not installed.
            TypeError: If torch has no such type.
        """
        import torch  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  only who calls this needs it

        array = self.wire.array.copy()
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
            return [element.decode() for element in self.wire.array.flat]
        except UnicodeDecodeError:
            # Without the cause: it holds the bytes.
            raise TensorError(
                f"output {self.name!r}: expected UTF-8, got other bytes"
            ) from None

    def __repr__(self) -> str:
        """Name, type and shape."""
        return f"Tensor({self.name!r}, {self.datatype.value}, {self.shape})"
