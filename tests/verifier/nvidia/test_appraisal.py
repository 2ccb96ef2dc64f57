"""What a policy may pin, allow or refuse of GPUs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from blindai.errors import (
    ConfigurationError,
)
from blindai.testing.vendors.nvidia import MEASUREMENTS
from blindai.transcript import Check, Status
from blindai.verifier import (
    GpuPolicy,
    Policy,
    ReferenceValues,
    nvidia,
)
from blindai.verifier.nvidia.claims import GpuClaims
from blindai.verifier.roots import Root

NONCE = bytes(range(32))
OTHER = "f" * 96
ROOT = Root(name="x", vendor="NVIDIA", digest=bytes(32))
GPU = GpuClaims(
    key_digest=bytes(32),
    ueid="1",
    model="GH100 A01 GSP BROM",
    architecture="HOPPER",
    driver_version="550.90.07",
    vbios_version="96.00.5E.00.01",
    board="1010_0200_882",
    mode="spt",
    nvdec0=True,
    fwid=bytes(48),
    measurements=dict(enumerate(MEASUREMENTS)),
    root=ROOT,
)


def measured(*indices: int, **changes: str) -> ReferenceValues:
    """Reference values of the made-up driver."""
    values = tuple(f"{index}:{MEASUREMENTS[index].hex()}" for index in indices)
    fields = {"version": "550.90.07", "measurements": values, **changes}
    return ReferenceValues(**fields)  # type: ignore[arg-type]  # one of many


DRIVER = measured(7, 21, 35)
VBIOS = measured(0, 1, version="96.00.5E.00.01")


def lines(gpu: GpuClaims = GPU, **accepted: object) -> dict[str, Check]:
    policy = GpuPolicy(**accepted)  # type: ignore[arg-type]  # one of many
    return {check.name: check for check in nvidia.appraise((gpu,), policy)}


def refused(gpu: GpuClaims = GPU, **accepted: object) -> list[str]:
    found = lines(gpu, **accepted).values()
    return [str(check) for check in found if not check.holds]


def test_what_is_not_pinned_says_so() -> None:
    found = lines()

    open_lines = {
        name.removeprefix("GPU 0: ")
        for name, check in found.items()
        if check.status is Status.NOT_EVALUATED
    }
    assert open_lines == {
        "mode",
        "driver version",
        "least driver version",
        "VBIOS version",
        "least VBIOS version",
        "driver measurements",
        "VBIOS measurements",
    }
    assert not refused()


def test_a_policy_that_pins_everything_accepts_what_it_pins() -> None:
    found = lines(
        architectures=("HOPPER",),
        modes=("ppcie", "spt"),
        driver_versions=("1.2", "550.90.07"),
        minimum_driver_version="550.90.07",
        vbios_versions=("96.00.5E.00.01",),
        minimum_vbios_version="96.00.5E.00.01",
        reference_values=(DRIVER, VBIOS),
    )

    assert {check.status for check in found.values()} == {Status.PASSED}


@pytest.mark.parametrize(
    ("accepted", "line"),
    [
        pytest.param(
            {"minimum_gpus": 2}, "GPUs: expected at least 2, got 1", id="number"
        ),
        pytest.param(
            {"architectures": ("BLACKWELL",)},
            "GPU 0: architecture: expected BLACKWELL, got HOPPER",
            id="architecture",
        ),
        pytest.param(
            {"modes": ("ppcie",)}, "GPU 0: mode: expected ppcie, got spt", id="mode"
        ),
        pytest.param(
            {"driver_versions": ("550.90.08",)},
            "GPU 0: driver version: expected 550.90.08, got 550.90.07",
            id="driver",
        ),
        pytest.param(
            {"minimum_driver_version": "550.90.08"},
            "GPU 0: least driver version: expected at least 550.90.08, got 550.90.07",
            id="least driver",
        ),
        pytest.param(
            {"minimum_driver_version": "550.100"},
            "GPU 0: least driver version: expected at least 550.100, got 550.90.07",
            id="numbers, not text",
        ),
        pytest.param(
            {"vbios_versions": ("96.00.9F.00.01",)},
            "GPU 0: VBIOS version: expected 96.00.9F.00.01, got 96.00.5E.00.01",
            id="VBIOS",
        ),
        pytest.param(
            {"minimum_vbios_version": "96.00.A0.00.00"},
            "GPU 0: least VBIOS version: expected at least 96.00.A0.00.00,"
            " got 96.00.5E.00.01",
            id="least VBIOS",
        ),
        pytest.param(
            {"minimum_vbios_version": "96.00.5E.01.00"},
            "GPU 0: least VBIOS version: expected at least 96.00.5E.01.00,"
            " got 96.00.5E.00.01",
            id="least VBIOS, its fourth number",
        ),
    ],
)
def test_what_is_not_accepted_is_refused(
    accepted: dict[str, object], line: str
) -> None:
    assert refused(GPU, **accepted) == [line]


def test_an_unknown_architecture_is_refused() -> None:
    assert refused(replace(GPU, architecture="unknown"))


def test_a_mode_that_is_not_stated_is_refused_where_modes_are_given() -> None:
    silent = replace(GPU, mode="")

    assert not refused(silent)
    assert refused(silent, modes=("spt",)) == [
        "GPU 0: mode: expected spt, got not stated"
    ]


def test_each_gpu_has_its_lines() -> None:
    old = replace(GPU, driver_version="535.1")
    policy = GpuPolicy(minimum_driver_version="550.0")

    found = [c.name for c in nvidia.appraise((GPU, old), policy) if not c.holds]
    assert found == ["GPU 1: least driver version"]


# Reference values.


@pytest.mark.parametrize(
    ("known", "line"),
    [
        pytest.param(
            (DRIVER,),
            "GPU 0: VBIOS measurements: expected the reference values of version"
            " 96.00.5E.00.01, got a version for which there are none",
            id="no VBIOS",
        ),
        pytest.param(
            (VBIOS,),
            "GPU 0: driver measurements: expected the reference values of version"
            " 550.90.07, got a version for which there are none",
            id="no driver",
        ),
        pytest.param(
            (VBIOS, measured(7, version="550.90.08")),
            "GPU 0: driver measurements: expected the reference values of version"
            " 550.90.07, got a version for which there are none",
            id="another driver",
        ),
        pytest.param(
            (VBIOS, measured(7, product="GB100")),
            "GPU 0: driver measurements: expected the reference values of version"
            " 550.90.07, got a version for which there are none",
            id="another chip's driver",
        ),
        pytest.param(
            (VBIOS, replace(DRIVER, measurements=(f"7:{OTHER}", f"21:{OTHER}"))),
            "GPU 0: driver measurements: expected the reference values of version"
            " 550.90.07, got others at index 7, 21",
            id="other values",
        ),
        pytest.param(
            (VBIOS, replace(DRIVER, measurements=(f"99:{OTHER}",))),
            "GPU 0: driver measurements: expected the reference values of version"
            " 550.90.07, got others at index 99",
            id="a measurement that is not there",
        ),
    ],
)
def test_other_measurements_are_refused(
    known: tuple[ReferenceValues, ...], line: str
) -> None:
    assert refused(reference_values=known) == [line]


def test_a_value_of_several_is_accepted() -> None:
    values = (f"7:{OTHER}", *DRIVER.measurements)
    several = replace(DRIVER, measurements=values)

    assert not refused(reference_values=(VBIOS, several))


def test_one_of_several_releases_has_to_match_in_full() -> None:
    other = replace(DRIVER, measurements=(f"7:{OTHER}",))

    assert not refused(reference_values=(VBIOS, other, DRIVER))
    half = replace(DRIVER, measurements=(f"21:{OTHER}",))
    assert refused(reference_values=(VBIOS, other, half))


def test_of_several_releases_the_closest_is_told() -> None:
    far = replace(DRIVER, measurements=(f"7:{OTHER}", f"21:{OTHER}"))
    near = replace(DRIVER, measurements=(f"21:{OTHER}",))

    (told,) = refused(reference_values=(VBIOS, far, near))

    assert told.endswith("got others at index 21")


def test_the_product_is_the_chip_s() -> None:
    assert not refused(reference_values=(VBIOS, replace(DRIVER, product="GH100")))


def test_measurement_35_says_nothing_where_the_decoder_is_off() -> None:
    wrong = replace(DRIVER, measurements=(f"35:{OTHER}",))

    assert refused(reference_values=(VBIOS, wrong))
    off = replace(GPU, nvdec0=False)
    assert not refused(off, reference_values=(VBIOS, wrong))
    another = replace(DRIVER, measurements=(f"34:{OTHER}",))
    assert refused(off, reference_values=(VBIOS, another))


# The policy file.


def test_a_table_is_read_and_written() -> None:
    text = f"""
        version = 1
        [sev-snp]
        measurements = ["{OTHER}"]
        [nvidia-gpu]
        minimum_gpus = 8
        architectures = ["HOPPER"]
        modes = ["ppcie"]
        driver_versions = ["550.90.07"]
        minimum_driver_version = "550.90"
        vbios_versions = ["96.00.9F.00.01"]
        minimum_vbios_version = "96.00.00.00.00"
        [[nvidia-gpu.reference_values]]
        version = "550.90.07"
        measurements = ["7:{OTHER}"]
    """

    policy = Policy.parse(text)

    assert policy.tees == ("sev-snp",)
    assert policy.nvidia_gpu is not None
    assert policy.nvidia_gpu.minimum_gpus == 8
    assert policy.nvidia_gpu.reference_values == (
        ReferenceValues(version="550.90.07", measurements=(f"7:{OTHER}",)),
    )
    assert isinstance(policy.to_json()["nvidia-gpu"], dict)


def test_gpus_alone_are_no_tee() -> None:
    with pytest.raises(ConfigurationError, match="at least one TEE") as raised:
        Policy.parse("version = 1\n[nvidia-gpu]")
    assert "nvidia" not in raised.value.message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("minimum_gpus = 0", "whole number, 1 to 16", id="no GPU"),
        pytest.param("minimum_gpus = 17", "whole number, 1 to 16", id="17 GPUs"),
        pytest.param('architectures = ["ADA"]', "HOPPER, BLACKWELL", id="Ada"),
        pytest.param('modes = ["off"]', "one of spt, mpt, ppcie", id="mode"),
        pytest.param('driver_versions = ["r550"]', "a driver version", id="driver"),
        pytest.param('minimum_driver_version = "550"', "a driver v", id="one number"),
        pytest.param('vbios_versions = ["96.0"]', "a VBIOS version", id="VBIOS"),
        pytest.param(
            'minimum_vbios_version = "96.00.9f.00.01"', "a VBIOS version", id="case"
        ),
        pytest.param("reference_values = []", "a list of 1 to 1024", id="no values"),
        pytest.param(
            'reference_values = [{ version = "1.2" }]', "'measurements'", id="none"
        ),
        pytest.param(
            f'reference_values = [{{ version = "1", measurements = ["{OTHER}"] }}]',
            "<index>:<96 hex digits",
            id="no index",
        ),
    ],
)
def test_another_table_is_refused(line: str, message: str) -> None:
    head = f'version = 1\n[sev-snp]\nmeasurements = ["{OTHER}"]\n[nvidia-gpu]\n'

    with pytest.raises(ConfigurationError, match=message):
        Policy.parse(head + line)
