"""Verify one proof file, by proofs.md alone: a second implementation, and an example.

    python docs/proof_verifier.py FILE --insecure-simulation [--inputs JSON]

It needs Python 3.11, `cryptography` and `cbor2`, and nothing of blindai. The one kind
of evidence that it follows to a root is that of the test vectors, which proves nothing;
it refuses all other. What it does not look at in what it accepts, it prints. It ends
with 0 where all holds, and with 1 where something does not.
"""

import argparse
import hmac
import json
import math
import re
import sys
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from cbor2 import CBORTag, dumps
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding


def hold(condition: object, reason: str) -> None:
    """Go on where the condition holds, and refuse where not."""
    if not condition:
        raise ValueError(reason)


# Deterministic CBOR (RFC 8949, 4.2.1). A reader that takes no other encoding than the
# right one need not write a value again and compare. cbor2 only writes here: reading,
# it would act on tags, and it cannot tell 1, 1.0 and true apart as keys.


def decode(data: bytes) -> Any:
    """Read one value, and nothing after it. Nothing here is nested deeper than 8."""
    stream = BytesIO(data)
    value = _item(stream, 8)
    hold(stream.tell() == len(data), "bytes follow the CBOR")
    return value


def _take(stream: BytesIO, count: int) -> bytes:
    taken = stream.read(min(count, 1 << 30))
    hold(len(taken) == count, "CBOR ends too early")
    return taken


def _head(stream: BytesIO) -> tuple[int, int]:
    major, low = divmod(_take(stream, 1)[0], 32)
    if low < 24:
        return major, low
    hold(low < 28 and major != 7, "CBOR that is indefinite, or a number that is none")
    argument = int.from_bytes(_take(stream, 1 << low - 24))
    least = 24 if low == 24 else 1 << (4 << low - 24)
    hold(argument >= least, "CBOR that is not the shortest")
    return major, argument


def _item(stream: BytesIO, depth: int) -> Any:
    hold(depth > 0, "CBOR that is nested too deep")
    major, argument = _head(stream)
    if major < 2:
        return -1 - argument if major else argument
    if major < 4:
        taken = _take(stream, argument)
        return taken.decode() if major == 3 else taken
    if major == 4:
        return [_item(stream, depth - 1) for _ in range(argument)]
    if major == 5:
        return _map(stream, argument, depth - 1)
    known = {20: False, 21: True, 22: None} if major == 7 else {18: None}
    hold(argument in known, "a tag other than 18, or none of false, true and null")
    return known[argument] if major == 7 else CBORTag(18, _item(stream, depth - 1))


def _map(stream: BytesIO, count: int, depth: int) -> dict[Any, Any]:
    items, before = {}, b""
    for _ in range(count):
        key = _item(stream, depth)
        number = type(key) is int and -24 <= key <= 23
        hold(number or type(key) is str, "a key of another type")
        hold(dumps(key) > before, "keys that are not in order, or twice")
        items[key], before = _item(stream, depth), dumps(key)
    return items


# The CDDL as data. A rule is a map of rules by key (those under "?" may be missing), a
# tuple with a rule for each place of an array, a list of a rule and how often it holds,
# a set of alternatives, a tag, a function that says yes or no, or the value itself.


def fits(value: Any, rule: Any) -> bool:
    """Whether a value is what a rule says; a map refuses by the key that is wrong."""
    if isinstance(rule, tuple):
        same = type(value) is list and len(value) == len(rule)
        return same and all(map(fits, value, rule))
    if isinstance(rule, list):
        each, least, most = rule
        same = type(value) is list and least <= len(value) <= most
        return same and all(fits(item, each) for item in value)
    if isinstance(rule, set):
        return any(fits(value, each) for each in rule)
    if isinstance(rule, CBORTag):
        return type(value) is CBORTag and fits(value.value, rule.value)
    if not isinstance(rule, dict):
        same = type(value) is type(rule) and value == rule
        return bool(rule(value)) if callable(rule) else same
    needed, known = rule.keys() - {"?"}, rule | rule.get("?", {})
    keys = value.keys() if type(value) is dict else {None}
    hold(needed <= keys <= known.keys() - {"?"}, f"expected the keys {needed}")
    for key in keys:
        hold(fits(value[key], known[key]), f"{key} is not what the CDDL says")
    return True


# fmt: off
def size(kind: type, most: int, least: int = 0) -> Any:
    """Bytes or text of a length, or an integer, from least to most."""
    return lambda v: type(v) is kind and least <= (v if kind is int else len(v)) <= most

def encoded(rule: Any, most: int = 512 << 20) -> Any:
    """Bytes that are CBOR of something."""
    return lambda v: type(v) is bytes and len(v) <= most and fits(decode(v), rule)

def tensor(v: Any) -> bool:
    """A tensor, whose elements are as many as datatype and shape say."""
    if not fits(v, (TEXT, {*SIZES}, [UINT, 0, 16], {None, BYTES})):
        return False
    _, datatype, shape, elements = v
    hold(math.prod(n or 1 for n in shape) <= 1 << 31, "a tensor is too large")
    if elements is None:
        return True
    if datatype != "BYTES":
        bits = datatype != "BOOL" or {*elements} <= {0, 1}
        return bits and len(elements) == math.prod(shape) * SIZES[datatype]
    at = count = 0
    while at < len(elements):
        at += 4 + int.from_bytes(elements[at : at + 4], "little")
        count += 1
    return at == len(elements) and count == math.prod(shape)

def side(v: Any) -> bool:
    """The tensors of a side: each name once, all with elements or none."""
    if not fits(v, [tensor, 0, 64]):
        return False
    return len({t[0] for t in v}) == len(v) and len({t[3] is None for t in v}) < 2

UINT, TEXT, BYTES = size(int, 2**64 - 1), size(str, 512 << 20), size(bytes, 512 << 20)
DIGEST, NUMBER, LABEL = size(bytes, 32, 32), size(int, 2**63 - 1), size(str, 1024)
TIME: Final = size(int, 253402300799)  # to the end of the year 9999
SIZES: Final = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2,
    "INT32": 4, "INT64": 8, "FP16": 2, "FP32": 4, "FP64": 8, "BF16": 2, "BYTES": 0,
}
COMMON: Final = {
    6: TIME, 7: size(bytes, 8, 8), "blindai.keyset": DIGEST, "blindai.config": DIGEST,
    "blindai.model": {"digest": DIGEST, "name": LABEL, "version": NUMBER},
    "blindai.sequence": NUMBER, "blindai.previous": {None, DIGEST},
}
UPLOAD: Final = COMMON | {"blindai.purpose": "blindai.proof.upload.v1", 10: DIGEST}
COMMITMENT: Final = {"count": size(int, 64), "root": DIGEST}
PREDICTION: Final = COMMON | {
    "blindai.purpose": "blindai.proof.predict.v1",
    "blindai.inputs": COMMITMENT, "blindai.outputs": COMMITMENT,
    "blindai.batch": {"requests": NUMBER, "rows": NUMBER},
    "blindai.runtime": {
        "engine": LABEL, "version": LABEL, "optimisation": LABEL, "provider": LABEL,
        "architecture": LABEL, "threads": NUMBER,
        "cpu": lambda v: fits(v, [LABEL, 0, 64]) and v == sorted({*v}),
    },
}
VND, SIDES = "application/vnd.blindai.", ("blindai.inputs", "blindai.outputs")
HEADER: Final = {1: -8, 3: VND + "proof-claims+cbor", 16: VND + "proof+cose"}
PROOF: Final = CBORTag(18, (encoded(HEADER), {}, BYTES, size(bytes, 64, 64)))
KEYSET: Final = {
    "v": 1, "instance": size(bytes, 16, 16), "ohttp_keys": size(bytes, 16384),
    "proof_key": DIGEST, "config_digest": DIGEST, "build": size(str, 256),
    "not_before": TIME, "not_after": TIME, "?": {"tls_spki": DIGEST},
}
STATEMENT: Final = {
    "purpose": TEXT, "keyset_digest": DIGEST, "nonce": {None, DIGEST},
    "?": {"gpu_digest": DIGEST},
}
ATTESTATION: Final = {
    "__cmwc_t": "tag:blindai,2026:attestation/v1",
    "keyset": (VND + "keyset+cbor", encoded(KEYSET, 32 << 10)),
    "statement": (VND + "statement+cbor", encoded(STATEMENT, 1 << 10)),
    "evidence": (TEXT, size(bytes, 64 << 10), 4),
    "?": {
        "event_log": (VND + "tcg-event-log", size(bytes, 256 << 10, 1), 4),
        "gpu": (VND + "nvidia-gpu+json", size(bytes, 512 << 10, 1), 4),
        "endorsements": lambda v: type(v) is dict and [*v] == [*range(len(v))]
            and fits([*v.values()], [(TEXT, size(bytes, 256 << 10), 2), 1, 16]),
    },
}
OPENING: Final = {"salt": DIGEST, "inputs": side, "outputs": side}
DISCLOSURE: Final = {
    "side": {0, 1}, "index": UINT, "salt": DIGEST, "path": [DIGEST, 0, 16],
    "tensor": lambda v: tensor(v) and v[3] is not None,
}
FILE: Final = {
    "__cmwc_t": "tag:blindai,2026:proof-file/v1",
    "proof": (VND + "proof+cose", encoded(PROOF, 16384)),
    "attestation": lambda v: fits(v, ATTESTATION)
        and len(dumps(v, canonical=True)) <= 1 << 20,
    "?": {
        "nonce": (VND + "nonce", DIGEST),
        "opening": (VND + "opening+cbor", encoded(OPENING)),
        "disclosures": (VND + "disclosures+cbor", encoded([DISCLOSURE, 1, 128])),
    },
}
# fmt: on


# Commitments. `node` and `root_of` are the tree of RFC 9162 (2.1.1, 2.1.3).


def leaf_hash(leaf_salt: bytes, number: int, value: list[Any]) -> bytes:
    """Hash one tensor of side 0 or 1."""
    start = b"\0blindai tensor v1\0" + leaf_salt + dumps([number, *value[:3]])
    return sha256(start + value[3]).digest()


def commit(salt: bytes, number: int, tensors: list[Any]) -> dict[str, Any]:
    """The commitment of all tensors of side 0 or 1."""
    hashes = []
    for index, value in enumerate(sorted(tensors, key=lambda t: t[0].encode())):
        place = b"blindai leaf salt v1\0" + bytes([number, index])
        hashes.append(leaf_hash(hmac.digest(salt, place, "sha256"), number, value))
    return {"count": len(hashes), "root": node(hashes)}


def node(hashes: list[bytes]) -> bytes:
    """The root over leaf hashes."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256().digest()
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\1" + node(hashes[:k]) + node(hashes[k:])).digest()


def root_of(leaf: bytes, index: int, count: int, path: list[bytes]) -> bytes:
    """The root that a leaf at its place, and the hashes beside its way, lead to."""
    hold(index < count and (count > 1) == bool(path), "the path fits no tree")
    if count == 1:
        return leaf
    k = 1 << (count - 1).bit_length() - 1
    if index < k:
        return sha256(b"\1" + root_of(leaf, index, k, path[:-1]) + path[-1]).digest()
    below = root_of(leaf, index - k, count - k, path[:-1])
    return sha256(b"\1" + path[-1] + below).digest()


def compare(claims: Any, opening: Any, brought: dict[int, Any], shown: Any) -> None:
    """Steps 5 and 6: tensors that are there are those committed to."""
    hold(SIDES[0] in claims or not (opening or brought or shown), "an upload has none")
    # 5. Sides of the opening that have elements, and those of the reader, are whole.
    opened = [(n, opening[k]) for n, k in enumerate(("inputs", "outputs")) if opening]
    for number, tensors in [*opened, *brought.items()]:
        if all(elements is not None for *_, elements in tensors):
            hold(opening, "there is no salt to compare tensors with")
            made = commit(opening["salt"], number, tensors)
            hold(made == claims[SIDES[number]], f"{SIDES[number]} are others")
    # 6. Each disclosure leads to the root of its side.
    for d in shown:
        signed = claims[SIDES[d["side"]]]
        leaf = leaf_hash(d["salt"], d["side"], d["tensor"])
        root = root_of(leaf, d["index"], signed["count"], d["path"])
        hold(root == signed["root"], "a disclosure leads to another root")


ARK: Final = "decdb44f3d0c7989816a55136a9f2fee6e7a92d18bc4c3c8c772feff5155eea1"
PSS: Final = padding.PSS(padding.MGF1(SHA384()), 48)
BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
PEM: Final = re.compile(b"(" + BEGIN + rb"[A-Za-z0-9+/=\r\n]+" + END + rb"[\r\n]*)+")
REFUSALS: Final = (
    ValueError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion,
)  # fmt: skip
UNCHECKED: Final = (
    "all else in the report: debugging, firmware, chip. Is the measurement yours?",
    "extensions of the certificates, and whether one was revoked",
    "what an event log or evidence of GPUs says, where there is any",
    "names, datatypes and shapes of tensors that are there without elements",
)


def leaf_key(pem: bytes, date: datetime) -> Any:
    """The key of the leaf of a chain that leads to the simulated root."""
    hold(PEM.fullmatch(pem), "there is something else than certificates")
    chain = x509.load_pem_x509_certificates(pem)
    ark = [c for c in chain if c.fingerprint(SHA256()).hex() == ARK]
    ask = [c for c in chain if c not in ark and [c.issuer] == [a.subject for a in ark]]
    leaf = [c for c in chain if c not in ark + ask]
    hold(len(ark) == len(ask) == len(leaf) == 1, "it is no chain of leaf, ASK and ARK")
    for by, of in (ark + ark, ark + ask, ask + leaf):
        current = of.not_valid_before_utc <= date <= of.not_valid_after_utc
        hold(current, "a certificate is not valid as of the date")
        whole = of.public_bytes(Encoding.DER).endswith(b"\0" + of.signature)
        hold(whole and isinstance(by.public_key(), rsa.RSAPublicKey), "no RSA key")
        of.verify_directly_issued_by(by)
        by.public_key().verify(of.signature, of.tbs_certificate_bytes, PSS, SHA384())
    return leaf[0].public_key()


def verify_evidence(attestation: Any, keyset: bytes, date: int) -> str:
    """Steps 7 and 8, but for the keyset: return the measurement."""
    kind, report, _ = attestation["evidence"]
    hold(kind == VND + "simulated-sev-snp-report", f"{kind} is not read here")
    # 7. The evidence binds the statement, and that the keyset and the GPUs.
    bound = sha256(attestation["statement"][1]).digest() + bytes(32)
    hold(len(report) == 1184 and not any(report[0x330:]), "the report has another form")
    hold(report[0x50:0x90] == bound, "the evidence binds another statement")
    said = decode(attestation["statement"][1])
    hold(said["keyset_digest"] == keyset, "the statement names another keyset")
    hold(said["purpose"] == "blindai.attestation.v1", "its purpose is another")
    gpu = b"blindai gpu evidence v1\0" + attestation.get("gpu", [0, b""])[1]
    digest = sha256(gpu).digest() if "gpu" in attestation else None
    hold(said.get("gpu_digest") == digest, "the statement names other GPUs")
    # 8. It leads to a pinned root as of the date.
    [(kind, pem, _)] = attestation.get("endorsements", {}).values()
    hold(kind == "application/pem-certificate-chain", f"{kind} is not read here")
    key = leaf_key(pem, datetime.fromtimestamp(date, UTC))
    hold(isinstance(getattr(key, "curve", None), ec.SECP384R1), "no key on P-384")
    r, s = (int.from_bytes(report[at : at + 72], "little") for at in (0x2A0, 0x2E8))
    key.verify(encode_dss_signature(r, s), report[:0x2A0], ec.ECDSA(SHA384()))
    return bytes(report[0x90:0xC0]).hex()


# "Verifying". The reader may bring all tensors of a side (0 or 1), and a date, seconds
# since 1970, and says whether a simulation, which proves nothing, will do.


def verify(data: bytes, brought: Any, date: int | None, *, simulation: bool) -> Any:
    """Take all steps; return the claims with the measurement, or raise REFUSALS."""
    # 1 and 2. File, keyset and statement are what the CDDL says.
    hold(len(data) <= 512 << 20, "it is longer than 512 MiB")
    file = decode(data)
    fits(file, FILE)
    opening = decode(file["opening"][1]) if "opening" in file else {}
    shown = decode(file["disclosures"][1]) if "disclosures" in file else []
    written = file["attestation"]["keyset"][1]
    keyset = decode(written)
    # 3. The proof is what the CDDL says, and the keyset's proof_key signed it.
    protected, _, payload, signature = decode(file["proof"][1]).value
    key = ed25519.Ed25519PublicKey.from_public_bytes(keyset["proof_key"])
    key.verify(signature, dumps(["Signature1", protected, b"", payload]))
    claims: dict[Any, Any] = decode(payload)
    fits(claims, UPLOAD if type(claims) is dict and 10 in claims else PREDICTION)
    # 4. It names the keyset, and is no older.
    digest = sha256(b"blindai keyset v1\0" + written).digest()
    named = [claims["blindai.keyset"], claims["blindai.config"]]
    same = named == [digest, keyset["config_digest"]]
    hold(same, "it names another keyset or configuration")
    hold(claims[6] >= keyset["not_before"], "it is older than its keyset")
    # 5 and 6. Tensors are those committed to.
    compare(claims, opening, brought, shown)
    # 7 and 8. The evidence is that of the keyset, which counts as of the date.
    date = min(claims[6], keyset["not_after"]) if date is None else date
    counts = keyset["not_before"] <= date <= keyset["not_after"]
    hold(counts, "the keyset does not count as of the date")
    hold(simulation, "the evidence is simulated: it proves nothing")
    measurement = verify_evidence(file["attestation"], digest, date)
    # 9. The statement's nonce is the file's. By age alone nothing is accepted here.
    nonce = decode(file["attestation"]["statement"][1])["nonce"]
    hold(nonce == file.get("nonce", [0, 0])[1], "there is no nonce, or another")
    return claims | {"MEASUREMENT": measurement}


def main() -> None:
    """Verify a file and say so."""
    parser = argparse.ArgumentParser(description="Verify one proof file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--inputs", help="JSON: [[name, datatype, shape, hex], ...]")
    parser.add_argument("--date", type=int, help="seconds since 1970")
    parser.add_argument("--insecure-simulation", action="store_true")
    given = parser.parse_args()
    try:
        inputs = json.loads(Path(given.inputs).read_text()) if given.inputs else []
        tensors = [[*t, bytes.fromhex(elements)] for *t, elements in inputs]
        hold(side(tensors), "the inputs are no tensors")
        brought = {0: tensors} if given.inputs else {}
        data = given.file.read_bytes()
        claims = verify(data, brought, given.date, simulation=given.insecure_simulation)
    except (OSError, *REFUSALS) as error:
        sys.exit(f"refused: {str(error) or 'not signed by the key that it must be'}")
    for key, value in claims.items():
        print(f"{key}: {json.dumps(value, default=bytes.hex)}")
    print("VERIFIED. Not checked:", *UNCHECKED, sep="\n- ")


if __name__ == "__main__":
    main()
