"""A proof in a file, with all that it takes to verify it: a CMW collection (RFC 9999).

    label         what                                                indicator
    proof         application/vnd.blindai.proof+cose                  -
    attestation   the collection that `attestation` has               -
    nonce         application/vnd.blindai.nonce, optional             -
    opening       application/vnd.blindai.opening+cbor, optional      -
    disclosures   application/vnd.blindai.disclosures+cbor, optional  -

The attestation has the endorsements as they were then. An opening holds the request's
salt, with what inputs and outputs were, and perhaps their elements. Disclosures open
one tensor each, and nothing else. The whole file is deterministic CBOR.

Reading believes nothing; `blindai.proofs` verifies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Final

from blindai.errors import EvidenceError, ProtocolError, TensorError
from blindai.protocol import cbor, cmw
from blindai.protocol.attestation import encode_attestation, parse_attestation
from blindai.protocol.commitments import MAX_TENSORS, SALT_BYTES, Disclosure, Side
from blindai.protocol.datatypes import Datatype
from blindai.protocol.keyset import NONCE_BYTES
from blindai.protocol.proof import MAX_PROOF_BYTES, MEDIA_TYPE
from blindai.protocol.tensor import DEFAULT_LIMITS, Tensor
from blindai.protocol.tensor_data import encode_binary, parse_binary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blindai.protocol.attestation import Attestation

COLLECTION_TYPE: Final = "tag:blindai,2026:proof-file/v1"
NONCE_TYPE: Final = "application/vnd.blindai.nonce"
OPENING_TYPE: Final = "application/vnd.blindai.opening+cbor"
DISCLOSURES_TYPE: Final = "application/vnd.blindai.disclosures+cbor"
MAX_FILE_BYTES: Final = 512 * 1024 * 1024
_REQUIRED: Final = frozenset({"proof", "attestation"})
_OPTIONAL: Final = frozenset({"nonce", "opening", "disclosures"})


@dataclass(frozen=True, slots=True)
class Described:
    """What a tensor was, perhaps without its elements.

    Attributes:
        name: The model's name for it.
        datatype: The type of its elements.
        shape: Its dimensions.
        tensor: All of it; None where its elements were left out.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    tensor: Tensor | None = field(default=None, repr=False)

    @classmethod
    def of(cls, tensor: Tensor, *, whole: bool) -> Described:
        """A tensor's description, with its elements or without."""
        kept = tensor if whole else None
        return cls(tensor.name, tensor.datatype, tensor.shape, kept)


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens both commitments of a proof.

    Attributes:
        salt: The request's, 32 bytes.
        inputs: What went in, in the order of the request.
        outputs: What came out, in the order of the response.
    """

    salt: bytes = field(repr=False)
    inputs: tuple[Described, ...]
    outputs: tuple[Described, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFile:
    """The parts of a proof file; nothing in it is believed.

    Attributes:
        proof: The COSE_Sign1.
        attestation: Keyset, statement, evidence and endorsements.
        nonce: What the client challenged the enclave with, 32 bytes, if it did.
        opening: What opens all of it, if that is there.
        disclosures: Single tensors, opened.
    """

    proof: bytes = field(repr=False)
    attestation: Attestation
    nonce: bytes | None = field(default=None, repr=False)
    opening: Opening | None = None
    disclosures: tuple[Disclosure, ...] = ()


def encode_proof_file(file: ProofFile) -> bytes:
    """Put a proof into a file's bytes."""
    attestation = cmw.parse(encode_attestation(file.attestation))
    items: dict[str | int, cmw.Record | cmw.Collection] = {
        "proof": cmw.Record(MEDIA_TYPE, file.proof),
        "attestation": attestation,
    }
    if file.nonce is not None:
        items["nonce"] = cmw.Record(NONCE_TYPE, file.nonce)
    if file.opening is not None:
        opened = cbor.encode(_plain_opening(file.opening))
        items["opening"] = cmw.Record(OPENING_TYPE, opened)
    if file.disclosures:
        listed = cbor.encode([_plain_disclosure(each) for each in file.disclosures])
        items["disclosures"] = cmw.Record(DISCLOSURES_TYPE, listed)
    return cmw.encode(cmw.Collection(items, COLLECTION_TYPE))


def is_proof_file(data: bytes) -> bool:
    """Whether bytes mean to be a proof file: their type stands near the beginning."""
    return data[:1] >= b"\xa0" and COLLECTION_TYPE.encode() in data[:4096]


def parse_proof_file(data: bytes) -> ProofFile:
    """Take a proof out of a file.

    Raises:
        EvidenceError: If the bytes are not one, in its only encoding, within limits.
    """
    collection = cmw.parse(data, MAX_FILE_BYTES)
    if not isinstance(collection, cmw.Collection):
        raise EvidenceError("proof file: expected a CMW collection, got a record")
    if collection.type != COLLECTION_TYPE:
        raise EvidenceError(f"proof file: expected the type {COLLECTION_TYPE}")
    if cmw.encode(collection) != data:
        raise EvidenceError("proof file: expected the deterministic encoding")
    if not _REQUIRED <= collection.items.keys() <= _REQUIRED | _OPTIONAL:
        raise EvidenceError(
            f"proof file: expected the labels {', '.join(sorted(_REQUIRED))} and"
            f" perhaps {', '.join(sorted(_OPTIONAL))}"
        )
    proof = _content(collection, "proof", MEDIA_TYPE)
    if len(proof) > MAX_PROOF_BYTES:
        raise EvidenceError(f"proof: expected at most {MAX_PROOF_BYTES} bytes")
    return ProofFile(
        proof=proof,
        attestation=_attestation(collection),
        nonce=_nonce(collection),
        opening=_opening(collection),
        disclosures=_disclosures(collection),
    )


def _content(collection: cmw.Collection, label: str, media_type: str) -> bytes:
    """The value of a record without an indicator.

    Raises:
        EvidenceError: If there is none, or it has one.
    """
    record = collection.record(label, media_type)
    if record.indicator is not None:
        raise EvidenceError(f"proof file {label}: expected no indicator")
    return record.value


def _attestation(collection: cmw.Collection) -> Attestation:
    """The attestation, in its only encoding.

    Raises:
        EvidenceError: If it is none, or has indicators, a type or empty records where
            blindai writes none.
    """
    encoding = cmw.encode(collection.items["attestation"])
    attestation = parse_attestation(encoding)
    if encode_attestation(attestation) != encoding:
        raise EvidenceError("proof file attestation: expected nothing but its parts")
    return attestation


def _nonce(collection: cmw.Collection) -> bytes | None:
    if "nonce" not in collection.items:
        return None
    nonce = _content(collection, "nonce", NONCE_TYPE)
    if len(nonce) != NONCE_BYTES:
        raise EvidenceError(f"nonce: expected {NONCE_BYTES} bytes, got {len(nonce)}")
    return nonce


def _opening(collection: cmw.Collection) -> Opening | None:
    if "opening" not in collection.items:
        return None
    match _decode(_content(collection, "opening", OPENING_TYPE), "opening"):
        case {
            "salt": bytes(salt),
            "inputs": list(inputs),
            "outputs": list(outputs),
            **others,
        } if len(salt) == SALT_BYTES and not others:
            return Opening(salt, _read_all(inputs), _read_all(outputs))
    raise EvidenceError(
        f"opening: expected a salt of {SALT_BYTES} bytes, inputs and outputs"
    )


def _disclosures(collection: cmw.Collection) -> tuple[Disclosure, ...]:
    if "disclosures" not in collection.items:
        return ()
    content = _content(collection, "disclosures", DISCLOSURES_TYPE)
    listed = _decode(content, "disclosures")
    if not isinstance(listed, list) or not 0 < len(listed) <= 2 * MAX_TENSORS:
        raise EvidenceError(f"disclosures: expected 1 to {2 * MAX_TENSORS}")
    return tuple(map(_disclosure, listed))


def _disclosure(value: object) -> Disclosure:
    match value:
        case {
            "side": int(side),
            "index": int(index),
            "salt": bytes(salt),
            "tensor": described,
            "path": list(path),
            **others,
        } if (
            type(side) is int
            and type(index) is int
            and side in set(Side)
            and 0 <= index < MAX_TENSORS
            and len(salt) == SALT_BYTES
            and all(isinstance(each, bytes) and len(each) == 32 for each in path)
            and not others
        ):
            tensor = _read(described).tensor
            if tensor is None:
                raise EvidenceError("disclosure: expected a tensor with its elements")
            return Disclosure(
                side=Side(side),
                index=index,
                salt=salt,
                tensor=tensor,
                path=tuple(path),
            )
    raise EvidenceError("disclosure: expected side, index, salt, tensor and path")


def _plain_opening(opening: Opening) -> dict[str, object]:
    return {
        "salt": opening.salt,
        "inputs": list(map(_plain, opening.inputs)),
        "outputs": list(map(_plain, opening.outputs)),
    }


def _plain_disclosure(disclosure: Disclosure) -> dict[str, object]:
    return {
        "side": int(disclosure.side),
        "index": disclosure.index,
        "salt": disclosure.salt,
        "tensor": _plain(Described.of(disclosure.tensor, whole=True)),
        "path": list(disclosure.path),
    }


def _plain(described: Described) -> list[object]:
    tensor = described.tensor
    data = None
    if tensor is not None:
        data = bytes(encode_binary(tensor.array, tensor.datatype))
    return [described.name, described.datatype.value, list(described.shape), data]


def _read_all(values: Sequence[object]) -> tuple[Described, ...]:
    if len(values) > MAX_TENSORS:
        raise EvidenceError(f"opening: expected at most {MAX_TENSORS} tensors a side")
    found = tuple(map(_read, values))
    if len({each.tensor is None for each in found}) > 1:
        raise EvidenceError("opening: expected the elements of all of a side, or none")
    if len({each.name for each in found}) != len(found):
        raise EvidenceError("opening: expected each name once a side")
    return found


def _read(value: object) -> Described:
    match value:
        case [str(name), str(kind), list(dims), (bytes() | None) as data] if (
            kind in set(Datatype)
            and len(dims) <= DEFAULT_LIMITS.max_dims
            and all(type(size) is int and size >= 0 for size in dims)
            and prod(size or 1 for size in dims) <= DEFAULT_LIMITS.max_elements
        ):
            datatype, shape = Datatype(kind), tuple(dims)
        case _:
            raise EvidenceError("tensor: expected name, datatype, shape and elements")
    if data is None:
        return Described(name, datatype, shape)
    try:
        array = parse_binary(memoryview(data), datatype, shape, f"tensor {name!r}")
    except TensorError as error:
        raise EvidenceError(error.message) from error
    return Described(name, datatype, shape, Tensor(name, datatype, shape, array))


def _decode(data: bytes, what: str) -> object:
    try:
        return cbor.decode(data, MAX_FILE_BYTES)
    except ProtocolError as error:
        raise EvidenceError(f"{what}: {error.message}") from error
