"""What model.py and run.py lean on: whole files or none, checks that can fail."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from examples.common import ROOT, environments, serving
from examples.common.building import put
from examples.common.checking import ExportError, check_export
from examples.common.environments import NotInstalledError, environment
from examples.common.graphs import FLOAT, model, node
from examples.common.serving import Example, UnbuiltError, configuration, serve

from blindai.errors import BlindAIError
from blindai.server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from examples.common.checking import Inputs
    from numpy.typing import NDArray

X = np.array([[1, 2]], np.float32)


@pytest.fixture
def double(tmp_path: Path) -> Path:
    """Y = 2 x."""
    two = {"two": np.array(2, np.float32)}
    shape: dict[str, tuple[int, Sequence[int | str]]] = {"x": (FLOAT, ["n", 2])}
    made = model([node("Mul", "x two", "y")], shape, {"y": (FLOAT, ["n", 2])}, two)
    path = tmp_path / "double.onnx"
    onnx.save(made, path)
    return path


def times(factor: float) -> Any:  # noqa: ANN401  as check_export takes it
    def original(inputs: Inputs) -> Sequence[NDArray[Any]]:
        return [inputs["x"] * np.float32(factor)]

    return original


def test_an_export_that_agrees_says_how_well(double: Path) -> None:
    agreement = check_export(double, times(2), [{"x": X}, {"x": X + 1}])

    assert "2 distinct inputs" in str(agreement)
    assert agreement.largest == 0


def test_an_export_that_is_off_is_refused(double: Path) -> None:
    with pytest.raises(ExportError, match="output 0 for input 0"):
        check_export(double, times(2.01), [{"x": X}, {"x": X + 1}])


def test_an_export_that_is_no_number_is_refused(double: Path) -> None:
    def original(inputs: Inputs) -> Sequence[NDArray[Any]]:
        return [np.where(inputs["x"] == 1, np.float32("nan"), inputs["x"] * 2)]

    with pytest.raises(ExportError, match="expected the original's, got nan off"):
        check_export(double, original, [{"x": X}, {"x": X + 1}])


def test_an_output_of_another_shape_is_refused(double: Path) -> None:
    with pytest.raises(ExportError, match=r"expected shape \(2,\)"):
        check_export(double, lambda each: [2 * each["x"][0]], [{"x": X}, {"x": X + 1}])


def test_an_output_more_is_refused(double: Path) -> None:
    with pytest.raises(ExportError, match="expected 2 outputs, got 1"):
        check_export(
            double, lambda each: [2 * each["x"], each["x"]], [{"x": X}, {"x": X + 1}]
        )


def test_other_whole_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "shape.onnx"
    shape: dict[str, tuple[int, Sequence[int | str]]] = {"x": (FLOAT, ["n", 2])}
    onnx.save(model([node("Shape", "x", "y")], shape, {"y": (7, [2])}, {}), path)

    with pytest.raises(ExportError, match="the original's values, got others"):
        check_export(
            path,
            lambda each: [np.array([len(each["x"]) + 1, 2])],
            [{"x": X}, {"x": np.ones((3, 2), np.float32)}],
        )


@pytest.mark.parametrize(
    "inputs", [[{"x": X}], [{"x": X}, {"x": X}], [{"x": X}, {"x": X + 1}, {"x": X}]]
)
def test_inputs_that_are_alike_show_nothing(double: Path, inputs: list[Inputs]) -> None:
    with pytest.raises(ExportError, match="two inputs, all distinct"):
        check_export(double, times(2), inputs)


def test_outputs_that_are_alike_show_nothing(double: Path) -> None:
    with pytest.raises(ExportError, match="outputs of the original"):
        check_export(double, times(0), [{"x": X}, {"x": X + 1}])


def test_what_is_built_is_put_in_place_with_its_samples(tmp_path: Path) -> None:
    def build(path: Path, samples: Path) -> None:
        path.write_bytes(b"model")
        (samples / "one.txt").write_text("sample")

    put(build, tmp_path / "out" / "m.onnx")

    assert (tmp_path / "out" / "m.onnx").read_bytes() == b"model"
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"samples", "m.onnx"}


def test_a_build_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    def build(path: Path, samples: Path) -> None:
        path.write_bytes(b"half")
        (samples / "half.txt").write_text("half")
        raise ExportError("no")

    (tmp_path / "m.onnx").write_bytes(b"before")
    with pytest.raises(ExportError):
        put(build, tmp_path / "m.onnx")

    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_bytes() == b"before"


def test_a_model_program_says_what_went_wrong_and_fails(tmp_path: Path) -> None:
    program = tmp_path / "model.py"
    program.write_text(
        '"""A model."""\n'
        "from examples.common.building import main\n"
        "from examples.common.packages import FetchError\n"
        "def build(path, samples):\n"
        "    raise FetchError('pack 1.0: expected pip to fetch it')\n"
        "main(build)\n"
    )

    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, str(program), str(tmp_path / "out.onnx")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )

    assert done.returncode == 1
    assert "expected pip to fetch it\n  Next: Check the network" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model.py"]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder of examples with one that names nothing to install."""
    folder = tmp_path / "examples"
    (folder / "plain").mkdir(parents=True)
    (folder / "plain" / "requirements.txt").write_text("# nothing\n")
    return folder


def test_an_environment_sees_what_is_installed_here(
    tmp_path: Path, examples: Path
) -> None:
    python = environment("plain", tmp_path, examples)

    done = subprocess.run(  # noqa: S603  just made
        [str(python), "-c", "import blindai, numpy, sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path / "plain" / "venv")


def test_an_environment_is_made_again_when_what_it_needs_changes(
    tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment("plain", tmp_path, examples)
    calls: list[list[str]] = []
    monkeypatch.setattr(environments, "_run", calls.append)

    environment("plain", tmp_path, examples)
    assert calls == []
    (examples / "plain" / "requirements.txt").write_text("# something\n")
    with pytest.raises(FileNotFoundError):  # nothing was made: it would be used now
        environment("plain", tmp_path, examples)
    assert "venv" in calls[0]


def test_an_environment_that_cannot_be_made_gives_pips_reason_and_is_not_used(
    tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    (examples / "plain" / "requirements.txt").write_text("no-such-package==1.0\n")

    for _ in range(2):
        with pytest.raises(NotInstalledError, match=r"^plain: .*no-such-package"):
            environment("plain", tmp_path, examples)
        assert list((tmp_path / "plain").iterdir()) == []


def test_what_is_locked_stays_unless_an_example_names_another_version(
    tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "plain" / "venv"

    def made(command: list[str]) -> None:
        if "venv" in command:
            packages = sysconfig.get_path("purelib", "venv", {"base": str(home)})
            Path(home, packages).mkdir(parents=True)

    monkeypatch.setattr(environments, "_run", made)
    (examples / "plain" / "requirements.txt").write_text("# older\n\npillow==12.3.0\n")

    environment("plain", tmp_path, examples)

    locked = (home / "locked.txt").read_text().splitlines()
    assert [each for each in locked if each.startswith("numpy==")]
    assert not [each for each in locked if each.startswith("pillow==")]


def example(path: Path) -> Example:
    return Example("double", Path(sys.executable), path)


def test_a_model_is_served_under_its_name_and_digest(double: Path) -> None:
    words = ["-m", "blindai", "models", "list", "--simulation", "--json"]
    with serve(example(double)) as url:
        done = subprocess.run(  # noqa: S603  our own command line
            [sys.executable, *words, url],
            capture_output=True,
            text=True,
            check=True,
        )

    assert "double" in json.dumps(json.loads(done.stdout))


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")

    with pytest.raises(UnbuiltError, match=r"double: .*ONNX"), serve(example(bad)):
        pass


@pytest.mark.parametrize("domain", [b"ai.onnx.contrib", b"com.microsoft.extensions"])
def test_extensions_are_switched_on_only_for_models_that_use_them(
    tmp_path: Path, double: Path, domain: bytes
) -> None:
    path = tmp_path / "custom.onnx"
    path.write_bytes(double.read_bytes() + domain)

    assert Settings.parse(configuration(example(path))).inference.extensions
    assert not Settings.parse(configuration(example(double))).inference.extensions


def test_a_model_may_lie_anywhere(tmp_path: Path) -> None:
    path = tmp_path / 'a "folder" of mine\\é' / "m.onnx"
    path.parent.mkdir()
    path.write_bytes(b"model")

    (served,) = Settings.parse(configuration(example(path))).preload

    assert (served.name, served.path) == ("double", str(path))


def test_every_example_has_the_same_files() -> None:
    wanted = {
        "README.md",
        "client.py",
        "model.py",
        "requirements.txt",
        "test_example.py",
    }
    for name in serving.names():
        folder = ROOT / "examples" / name
        assert wanted <= {path.name for path in folder.iterdir()}, name


READMES = "\n".join(
    each.read_text() for each in (ROOT / "examples").glob("*/README.md")
)
PROGRAMS = re.findall(
    r"^    .venv/bin/python -m (\S+) OUT.onnx$", READMES, re.MULTILINE
)


def test_programs_are_modules_as_a_script_does_not_find_what_they_share() -> None:
    assert len(PROGRAMS) == 2
    assert all(map(find_spec, PROGRAMS))
    assert "python examples/" not in READMES


def test_errors_have_a_next_step() -> None:
    errors: list[type[BlindAIError]] = [ExportError, NotInstalledError, UnbuiltError]

    assert all(each.next_step != BlindAIError.next_step for each in errors)
