"""What is fuzzed: a function of bytes, the error it documents, and honest examples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from blindai.attester.certificate_table import parse_certificate_table
from blindai.cli.evidence_files import read_evidence
from blindai.errors import (
    BlindAIError,
    ConfigurationError,
    EvidenceError,
    ModelRefusedError,
)
from blindai.inference.admission import admit
from blindai.inference.admission_limits import AdmissionLimits
from blindai.inference.outline import outline
from blindai.protocol import (
    attestation,
    bundle,
    cmw,
    cose,
    endorsements,
    keyset,
    proof,
    proof_file,
)
from blindai.protocol import der as der_reader
from blindai.protocol import tpm as tpm_evidence
from blindai.protocol.keyset import Binding, Purpose, Statement
from blindai.testing import SimulatedEvidence, simulated_keyset
from blindai.testing.machines.sev_snp import certificate_table
from blindai.testing.vendors.amd import MadeUpAmd
from blindai.testing.vendors.aws import Aws
from blindai.testing.vendors.azure import AzureVm, HclFields, ak_key, runtime_claims
from blindai.testing.vendors.intel import Enclave, Intel, TrustDomain
from blindai.testing.vendors.intel_parts import SGX, TDX
from blindai.testing.vendors.nvidia import Nvidia, array
from blindai.testing.vendors.pki import Authority, der, p256
from blindai.testing.vendors.rim import Rim
from blindai.testing.vendors.tpm import GoogleVm, MadeUpTpm
from blindai.verifier import Policy, certificates, crl, eventlog, roots
from blindai.verifier.intel import collateral
from blindai.verifier.intel import quote as intel_quote
from blindai.verifier.nitro.document import parse_document
from blindai.verifier.nvidia import rim, spdm
from blindai.verifier.nvidia.evidence import parse_evidence
from blindai.verifier.procedure import Procedure
from blindai.verifier.snp.report import parse_report
from blindai.verifier.tpm import hcl, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VECTORS = Path(__file__).parents[1] / "tests" / "data" / "proofs"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BINDING = Binding(bytes(32), None)


@dataclass(frozen=True, slots=True)
class Target:
    """One reader of bytes.

    Attributes:
        read: Takes any bytes.
        examples: Bytes that it reads.
        error: The one it may raise.
    """

    read: Callable[[bytes], object]
    examples: tuple[bytes, ...]
    error: type[Exception] = EvidenceError


def targets() -> dict[str, Target]:
    """All targets by name."""
    return {
        name: target
        for group in (
            *(_protocol, _x509, _snp, _intel, _nitro, _tpm, _nvidia, _files),
            _models,
        )
        for name, target in group()
    }


def _protocol() -> Iterator[tuple[str, Target]]:
    collection = SimulatedEvidence().attestation(bytes(32))
    chain = attestation.parse_attestation(collection).evidence.endorsements
    statements = (
        Statement(Purpose.ATTESTATION, bytes(32), None).encode(),
        Statement(Purpose.KEY_RELEASE, bytes(32), bytes(32), bytes(32)).encode(),
    )
    yield "attestation", Target(attestation.parse_attestation, (collection,))
    yield "cmw", Target(cmw.parse, (collection,))
    yield "keyset", Target(keyset.parse_keyset, (simulated_keyset().encode(),))
    yield "statement", Target(keyset.parse_statement, statements)
    yield "proof", Target(lambda data: cose.parse(data, proof.KIND), _proofs())
    yield "proof-claims", Target(proof.parse_claims, _claims())
    yield "proof-file", Target(proof_file.parse_proof_file, _proof_files())
    yield (
        "endorsements",
        Target(
            endorsements.parse_endorsements, (endorsements.encode_endorsements(chain),)
        ),
    )


def _proof_files() -> tuple[bytes, ...]:
    """Those of the test vectors: bare, opened, with one tensor disclosed."""
    names = ("predict", "upload", "opened", "disclosed")
    return tuple((VECTORS / f"{name}.proof").read_bytes() for name in names)


def _proofs() -> tuple[bytes, ...]:
    return tuple(proof_file.parse_proof_file(each).proof for each in _proof_files())


def _claims() -> tuple[bytes, ...]:
    return tuple(cose.parse(each, proof.KIND).payload for each in _proofs())


def _x509() -> Iterator[tuple[str, Target]]:
    root = Authority.root("Made-up Root", p256())
    encoded = der(root.certificate)
    pem = SimulatedEvidence().attester.attest(BINDING).endorsements[0].content
    yield "der", Target(lambda data: der_reader.elements(data, "fuzz"), (encoded,))
    yield "certificate", Target(certificates.parse_certificate, (encoded,))
    yield "pem", Target(certificates.parse_pem, (pem,))
    yield "crl", Target(crl.parse_crl, (root.crl([1, 2]),))


def _snp() -> Iterator[tuple[str, Target]]:
    milan, turin = MadeUpAmd("Milan"), MadeUpAmd("Turin")
    reports = (milan.evidence().evidence, turin.evidence().evidence)
    table = certificate_table(milan, milan.platform())
    yield "snp-report", Target(parse_report, reports)
    yield "snp-certificate-table", Target(parse_certificate_table, (table,))


def _intel() -> Iterator[tuple[str, Target]]:
    intel = Intel()
    bodies = (Enclave(), TrustDomain(), TrustDomain(newer=False))
    quotes = tuple(intel.quote(each) for each in bodies)
    listed = tuple(json.dumps(intel.collateral(tee)).encode() for tee in (SGX, TDX))
    yield "intel-quote", Target(intel_quote.parse_quote, quotes)
    yield "intel-collateral", Target(collateral.parse_collateral, listed)


def _nitro() -> Iterator[tuple[str, Target]]:
    document = Aws().document({"user_data": bytes(32)}, now=NOW)
    yield "nitro-document", Target(parse_document, (document,))


def _tpm() -> Iterator[tuple[str, Target]]:
    sent = GoogleVm().attest(BINDING)
    azure = AzureVm().attest(BINDING)
    parts = tpm_evidence.parse_tpm_evidence(sent.evidence)
    claims = runtime_claims(ak_key().public_key())
    report = HclFields(payload=AzureVm().report()[0], claims=claims).encode()
    log = MadeUpTpm().event_log
    yield "tpm-evidence", Target(tpm_evidence.parse_tpm_evidence, (sent.evidence,))
    yield (
        "azure-evidence",
        Target(tpm_evidence.parse_azure_snp_evidence, (azure.evidence,)),
    )
    yield "tpm-quote", Target(quote.parse_quote, (parts.quote,))
    yield "tpm-signature", Target(quote.parse_signature, (parts.signature,))
    yield "hcl-report", Target(hcl.parse_hcl_report, (report,))
    yield "hcl-claims", Target(hcl.parse_runtime_claims, (claims,))
    yield "event-log", Target(_replay, (log,))


def _replay(data: bytes) -> object:
    log = eventlog.parse(data)
    known = [name for name in log.algorithms if name in tpm_evidence.HASH_BYTES]
    return [log.replay(algorithm) for algorithm in known]


def _nvidia() -> Iterator[tuple[str, Target]]:
    nvidia = Nvidia()
    gpu = nvidia.gpu()
    yield "gpu-evidence", Target(parse_evidence, (array(gpu.evidence(bytes(32))),))
    yield "gpu-exchange", Target(spdm.parse_exchange, (gpu.exchange(bytes(32)),))
    yield (
        "gpu-rim",
        Target(
            lambda data: rim.verify_rim(data, Procedure(), NOW, roots.PINNED),
            (Rim().file(nvidia),),
            BlindAIError,
        ),
    )


def _files() -> Iterator[tuple[str, Target]]:
    policy = f'version = 1\n[sev-snp]\nmeasurements = ["{"0a" * 48}"]\n'
    report = MadeUpAmd("Milan").evidence().evidence
    quoted = Intel().quote(TrustDomain())
    yield (
        "policy",
        Target(
            lambda data: Policy.parse(data.decode("latin-1")),
            (policy.encode(),),
            ConfigurationError,
        ),
    )
    yield (
        "evidence-file",
        Target(
            read_evidence,
            (report, report.hex().encode(), quoted),
            EvidenceError,
        ),
    )


def _models() -> Iterator[tuple[str, Target]]:
    """What a worker reads before a runtime does; `fuzz.load` goes on from there."""
    small, large = _model(4), _model(300)
    bundled = _bundle()
    limits = AdmissionLimits(max_outline_bytes=1 << 16, max_messages=10_000)
    yield (
        "outline",
        Target(
            lambda data: outline(
                memoryview(data), max_bytes=1 << 16, max_fields=10_000
            ),
            (small, large),
            ModelRefusedError,
        ),
    )
    yield (
        "admission",
        Target(
            lambda data: admit(memoryview(data), limits),
            (small, large, bundled),
            ModelRefusedError,
        ),
    )
    yield (
        "bundle",
        Target(
            lambda data: bundle.parse_bundle(memoryview(data)),
            (bundled,),
            ModelRefusedError,
        ),
    )


def _model(elements: int) -> bytes:
    """A model with something of all that admission looks at."""
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"
    )
    weights = helper.make_tensor("w", TensorProto.FLOAT, [elements], [0.5] * elements)
    sparse = onnx.SparseTensorProto(
        values=helper.make_tensor("s", TensorProto.FLOAT, [1], [0.5]),
        indices=helper.make_tensor("i", TensorProto.INT64, [1], [0]),
        dims=[elements],
    )
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["y"], value=weights)], "then", [], [y]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    own = helper.make_function(
        "own", "f", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], opsets[:1]
    )
    nodes = [
        helper.make_node("f", ["x"], ["a"], domain="own"),
        helper.make_node("Tile", ["a", "w"], ["b"], name="tile"),
        helper.make_node("If", ["b"], ["y"], then_branch=inner, else_branch=inner),
    ]
    graph = helper.make_graph(
        nodes, "g", [x], [y], [weights], sparse_initializer=[sparse]
    )
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=8, functions=[own]
    )
    encoded: bytes = model.SerializeToString()
    return encoded


def _bundle() -> bytes:
    model = onnx.ModelProto.FromString(_model(4))
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "w.data"), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    files = {bundle.MODEL_NAME: model.SerializeToString(), "w.data": bytes(16)}
    parts = (
        bundle.header(name, len(data)) + data + bundle.padding(len(data))
        for name, data in files.items()
    )
    return b"".join(parts) + bundle.END
