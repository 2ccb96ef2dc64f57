"""The README's examples run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from blindai.attester.simulated import default_measurement
from blindai.cli.application import app
from blindai.client.policies import SimulationWarning
from blindai.errors import AppraisalError
from blindai.testing import SimulatedEnclave
from blindai.verifier import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESSES = ("https://enclave.example", "http://127.0.0.1:9923")
GROUPS = ("evidence", "policy", "proof")
POLICY = """\
version = 1
insecure_accept_simulation = true

[sev-snp]
measurements = ["{}"]
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    lines = [
        line.partition("#")[0].strip() for line in "".join(blocks("sh")).split("\n")
    ]
    return [line for line in lines if line]


def resnet18_shaped() -> bytes:
    """(1, 3, 224, 224) to (1, 1000), FP32: one convolution, and a mean over it."""
    value, tensor = helper.make_tensor_value_info, helper.make_tensor
    weights = np.linspace(-1, 1, 3000, dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w"], ["y"], strides=[32, 32]),
            helper.make_node("GlobalAveragePool", ["y"], ["z"]),
            helper.make_node("Flatten", ["z"], ["logits"]),
        ],
        "resnet18",
        [value("image", TensorProto.FLOAT, [1, 3, 224, 224])],
        [value("logits", TensorProto.FLOAT, [1, 1000])],
        [tensor("w", TensorProto.FLOAT, [1000, 3, 1, 1], weights)],
    )
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture
def enclave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimulatedEnclave]:
    """An enclave; the folder has the model, and the policy that pins the enclave."""
    monkeypatch.chdir(tmp_path)
    Path("resnet18.onnx").write_bytes(resnet18_shaped())
    Path("policy.toml").write_text(POLICY.format(default_measurement().hex()))
    with SimulatedEnclave() as running:
        yield running


def execute(block: str, enclave: SimulatedEnclave) -> None:
    for address in ADDRESSES:
        block = block.replace(address, enclave.url)
    image = np.ones((1, 3, 224, 224), np.float32)
    exec(compile(block, "README.md", "exec"), {"image": image})  # noqa: S102  our own


def test_there_are_examples() -> None:
    assert len(blocks("python")) >= 3
    assert len(blocks("toml")) == 1
    assert any(command.startswith("blindai ") for command in commands())


def test_the_first_example_runs(
    enclave: SimulatedEnclave, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.warns(SimulationWarning):
        execute(blocks("python")[0], enclave)

    assert capsys.readouterr().out


def test_the_others_run_one_after_the_other_on_one_server(
    enclave: SimulatedEnclave, capsys: pytest.CaptureFixture[str]
) -> None:
    for block in blocks("python")[1:]:
        with pytest.warns(SimulationWarning):
            execute(block, enclave)

        assert capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning")
def test_what_the_examples_write_is_verified_and_replayed(
    enclave: SimulatedEnclave,
) -> None:
    for block in blocks("python")[1:]:
        execute(block, enclave)

    about_proofs = [each for each in commands() if each.startswith("blindai proof ")]
    assert any("proof replay" in each for each in about_proofs)
    for command in about_proofs:
        done = CliRunner().invoke(app, shlex.split(command)[1:])

        assert done.exit_code == 0, done.output


def test_the_policy_file_of_the_first_example_counts(enclave: SimulatedEnclave) -> None:
    Path("policy.toml").write_text(POLICY.format("ab" * 48))

    with pytest.raises(AppraisalError, match="measurement"):
        execute(blocks("python")[0], enclave)


def test_the_policy_is_one() -> None:
    (block,) = blocks("toml")
    filled = re.sub(r"<(\d+) hex digits[^>]*>", lambda size: "a" * int(size[1]), block)

    policy = Policy.parse(filled)

    assert policy.sev_snp is not None
    assert policy.sev_snp.measurements == (b"\xaa" * 48,)
    assert policy.enclave.config_digests == (b"\xaa" * 32,)


@pytest.mark.parametrize(
    "command", [each for each in commands() if each.startswith("blindai ")]
)
def test_a_command_is_there_with_its_options(command: str) -> None:
    _, verb, *words = shlex.split(command)
    options = [word for word in words if word.startswith("--")]
    verbs = [verb, words[0]] if verb in GROUPS else [verb]

    shown = CliRunner().invoke(app, [*verbs, "--help"], env={"COLUMNS": "200"})

    assert shown.exit_code == 0
    assert [option for option in options if option not in shown.output] == []


@pytest.mark.parametrize(
    "command", [each for each in commands() if each.startswith("make ")]
)
def test_a_target_is_in_the_makefile(command: str) -> None:
    _, target = shlex.split(command)

    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
