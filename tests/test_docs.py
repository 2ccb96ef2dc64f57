"""What the documentation says is what the code does, where a machine can tell."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from blindai import tables
from blindai.attester.simulated import SimulatedAttester
from blindai.inference.service import InferenceService, ServiceSettings
from blindai.protocol import problems
from blindai.server.enclave import Enclave, Measured
from blindai.server.observability.metrics import Metrics
from blindai.server.routes import Routes
from blindai.server.serve import KNOWN_VARIABLES, now
from blindai.server.settings import ApiKey, BatchSettings, Settings, TelemetrySettings
from blindai.server.storage_settings import PreloadSettings
from blindai.verifier import (
    EnclavePolicy,
    EvidencePolicy,
    GpuPolicy,
    InsecureRoot,
    MinimumTcb,
    NitroPolicy,
    PlatformPolicy,
    Policy,
    ReferenceValues,
    RequiredGuestPolicy,
    RequiredPlatform,
    SgxPolicy,
    SnpPolicy,
    Tcb,
    TdxPolicy,
)
from blindai.verifier.tpm.policy import PcrPin, TpmPolicy

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "blindai"
MIN_GUARANTEES = 25
TEE_PAGES = ("azure", "nitro", "nvidia-gpu", "sgx", "tdx", "tpm")
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")})
SIMULATION = Policy.for_simulation()

Row = tuple[str, ...]


@cache
def rows(page: str, heading: str = "") -> tuple[Row, ...]:
    """The cells of all rows of tables below a heading, without their titles."""
    text = (ROOT / page).read_text(encoding="utf-8")
    section = text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    lines = (section if heading else text).splitlines()
    found = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line, next_line in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|")
        and not line.startswith("|---")
        and not next_line.startswith("|---")
    ]
    assert found, (page, heading)
    return tuple(found)


def code(cell: str) -> str:
    """What stands between a cell's backticks."""
    return cell.strip("| ").strip("`")


def fenced(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def definitions(path: Path) -> set[str]:
    """Functions of a module; methods with their class before them."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    owners = {"": body} | {
        f"{node.name}.": node.body for node in body if isinstance(node, ast.ClassDef)
    }
    return {
        f"{owner}{node.name}"
        for owner, nodes in owners.items()
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


# ------------------------------------------------------------------------ guarantees

GUARANTEES = rows("docs/security/guarantees.md")


def test_there_are_guarantees() -> None:
    assert len(GUARANTEES) >= MIN_GUARANTEES
    assert len({row[0] for row in GUARANTEES}) == len(GUARANTEES)


@pytest.mark.parametrize("row", GUARANTEES, ids=lambda row: str(row[0]))
def test_a_guarantee_names_the_function_that_keeps_it(row: Row) -> None:
    file, _, function = code(row[1]).partition(": ")

    assert function in definitions(SOURCE / file)


@pytest.mark.parametrize("row", GUARANTEES, ids=lambda row: str(row[0]))
def test_a_guarantee_names_the_test_that_proves_it(row: Row) -> None:
    file, _, test = code(row[2]).partition("::")

    assert test.startswith("test_")
    assert test in {
        name.rpartition(".")[2] for name in definitions(ROOT / "tests" / file)
    }


# ------------------------------------------------------------- policy, configuration


def written(value: object) -> str:
    """A default as the pages write it."""
    if value is None:
        return "none"
    table = tables.write(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]  # an instance, never a class
    return "`{}`" if isinstance(table, dict) else f"`{json.dumps(table)}`"


def documented(page: str, heading: str) -> dict[str, str]:
    return {code(key): default for key, _, default, *_ in rows(page, heading)}


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("## `[evidence]`", EvidencePolicy()),
        ("## `[enclave]`", EnclavePolicy()),
        ("## `[nitro]`", NitroPolicy()),
        ("## `[sgx]`", SgxPolicy()),
        ("## `[tdx]`", TdxPolicy()),
        ("## `[sgx.platform]` and `[tdx.platform]`", PlatformPolicy()),
        ("## `[models]`", Settings().models),
        ("## `[inference]`", Settings().inference),
        ("## `[gateway]`", Settings().gateway),
        ("## `[quota]`", Settings().quota),
    ],
)
def test_every_key_stands_in_its_page_with_its_default(
    heading: str, table: EvidencePolicy
) -> None:
    page = "policy" if type(table).__name__.endswith("Policy") else "configuration"

    expected = {key: written(value) for key, value in tables.items(table)}

    assert documented(f"docs/{page}.md", heading) == expected


def test_every_key_of_sev_snp_stands_in_its_page_with_its_default() -> None:
    expected = {key: written(value) for key, value in tables.items(SnpPolicy())}

    assert documented("docs/policy.md", "## `[sev-snp]`") == expected


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("## `[sev-snp.minimum_tcb]`", MinimumTcb()),
        ("## One processor line's least firmware", Tcb()),
        ("## `[sev-snp.guest_policy]`", RequiredGuestPolicy()),
        ("## `[sev-snp.platform]`", RequiredPlatform()),
    ],
)
def test_every_key_within_sev_snp_stands_in_its_page(
    heading: str, table: MinimumTcb | Tcb | RequiredGuestPolicy | RequiredPlatform
) -> None:
    expected = {key: written(value) for key, value in tables.items(table)}

    assert documented("docs/policy.md", heading) == expected


def test_every_key_of_nvidia_gpu_stands_in_its_page_with_its_default() -> None:
    values = ReferenceValues(version="1.2", measurements=("0:" + "0" * 96,))
    expected = {key: written(value) for key, value in tables.items(GpuPolicy())}
    expected |= {key: written(value) for key, value in tables.items(values)}
    expected |= {"version": "required", "measurements": "required"}

    assert documented("docs/policy.md", "## `[nvidia-gpu]`") == expected


def test_every_key_of_tpm_stands_in_its_page_with_its_default() -> None:
    expected = {key: written(value) for key, value in tables.items(TpmPolicy())}
    expected |= {"bank": '`"sha256"`', "index": "required", "digests": "required"}

    assert {field.name for field in dataclasses.fields(PcrPin)} <= expected.keys()
    assert documented("docs/policy.md", "## `[tpm]`") == expected


def test_every_key_of_a_policy_stands_in_its_page() -> None:
    expected = {key: written(value) for key, value in tables.items(SIMULATION)}
    expected |= {"version": "required", "insecure_accept_simulation": "`false`"}

    assert documented("docs/policy.md", "## Top level") == expected


def test_every_key_of_an_insecure_root_stands_in_its_page() -> None:
    expected = {"vendor": "required", "sha256": "required", "product": '`""`'}

    assert set(expected) == {field.name for field in dataclasses.fields(InsecureRoot)}
    assert documented("docs/policy.md", "## `[[insecure_roots]]`") == expected


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("## `[[api_keys]]`", ApiKey),
        ("## `[[batching]]`", BatchSettings),
        ("## `[[preload]]`", PreloadSettings),
    ],
)
def test_every_key_of_a_list_of_tables_stands_in_its_page(
    heading: str, table: type[ApiKey | BatchSettings | PreloadSettings]
) -> None:
    expected = {
        field.name: "required"
        if field.default is dataclasses.MISSING
        else written(field.default)
        for field in dataclasses.fields(table)
    }

    assert documented("docs/configuration.md", heading) == expected


def test_every_key_of_telemetry_stands_in_its_page() -> None:
    table = TelemetrySettings(url="https://telemetry.example/")
    expected = {key: written(value) for key, value in tables.items(table)}

    assert documented("docs/configuration.md", "## `[telemetry]`") == (
        expected | {"url": "required"}
    )


def test_every_metric_stands_in_its_page() -> None:
    metrics = Metrics()
    metrics.watch(InferenceService(ServiceSettings()), no_enclave(), now)
    text = metrics.encode().decode()
    shown = set(re.findall(r"^# TYPE (blindai_\w+) ", text, re.MULTILINE))

    found = rows("docs/operations.md", "## Metrics")

    assert {code(row[0]) for row in found} == shown


def no_enclave() -> Enclave:
    measured = Measured(config_digest=bytes(32), build="test")
    return Enclave(SimulatedAttester(), measured, now)


def test_every_table_of_the_configuration_has_a_section() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## `\[+(\w+)\]+`$", text, re.MULTILINE)

    assert sections == [key for key, _ in tables.items(Settings())]


def test_every_variable_of_the_environment_stands_in_its_page() -> None:
    found = rows("docs/configuration.md", "## Environment")

    assert {code(row[0]) for row in found} == KNOWN_VARIABLES | {"DO_NOT_TRACK"}


@pytest.mark.parametrize(
    "text",
    [
        text
        for page in ("policy", *(f"tees/{tee}" for tee in TEE_PAGES))
        for text in fenced(f"docs/{page}.md", "toml")
    ],
)
def test_a_policy_in_the_page_is_one(text: str) -> None:
    Policy.parse(text)


@pytest.mark.parametrize("text", fenced("docs/configuration.md", "toml"))
def test_a_configuration_in_the_page_is_one(text: str) -> None:
    Settings.parse(text)


# -------------------------------------------------------------------------- protocol


def test_the_problems_are_those_of_the_table() -> None:
    expected = [
        (re.split("[/#]", uri)[-1], str(status), cls.__name__)
        for cls, uri, status in problems._TABLE
    ]

    found = rows("docs/protocol.md", "## Problems inside the seal")

    assert [(code(row[0]).strip("#"), row[1], code(row[2])) for row in found] == (
        expected
    )


def test_the_routes_are_those_of_the_server() -> None:
    service = InferenceService(ServiceSettings())
    expected = {
        f"{method} {route.path}"
        for route in Routes(service, Settings(), now).table()
        for method in (route.methods or set()) - {"HEAD"}
    }

    found = rows("docs/protocol.md", "## Inside: Open Inference Protocol V2")

    assert {code(row[0]) for row in found} == expected


@pytest.mark.parametrize("row", rows("docs/protocol.md", "## Limits"))
def test_a_limit_is_the_constant_that_it_names(row: Row) -> None:
    module, *names = code(row[2]).split(".")

    value: object = import_module(f"blindai.protocol.{module}")
    for name in names:
        value = getattr(value, name)

    assert str(value) == row[1]


# --------------------------------------------------------------------- all the pages


def test_each_module_stands_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    modules = [path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py")]
    listed = set(re.findall(r"^\| `(.+?\.py)`", text, re.MULTILINE))

    assert listed >= {each for each in modules if not each.endswith("__init__.py")}
    assert listed <= set(modules)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading).lower() for heading in headings)
    return {each.replace(" ", "-") for each in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_relative_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)]*)\)", page.read_text(encoding="utf-8"))
    targets = [link.partition("#")[::2] for link in links]

    paths = {(page.parent / file if file else page, anchor) for file, anchor in targets}

    assert not [path for path, _ in paths if not path.exists()]
    assert not [
        (path, anchor)
        for path, anchor in paths
        if anchor and anchor not in anchors(path)
    ]


def test_the_project_speaks_of_itself_alone() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: what belongs to the project is not known")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607  whichever git there is
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    foreign = [b"/%s/" % word for word in (b"work", b"tmp")] + [
        b"-".join((b"pypi", b"more"))
    ]

    found = {
        (name, word)
        for name in listed
        if (ROOT / name).is_file()
        for word in foreign
        if word in (ROOT / name).read_bytes()
    }

    assert not found


# ------------------------------------------------------------------ the house's rules


def test_the_house_is_in_order() -> None:
    subprocess.run([sys.executable, "tools/check_house.py"], cwd=ROOT, check=True)
