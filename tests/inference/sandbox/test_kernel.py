"""The numbers of system calls are the kernel's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from blindai.inference.sandbox.kernel import AARCH64, X86_64, Architecture, call
from blindai.inference.sandbox.rules import rules

X86_64_HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
GENERIC_HEADER = Path("/usr/include/asm-generic/unistd.h")


@pytest.mark.parametrize(
    ("architecture", "header"),
    [
        pytest.param(X86_64, X86_64_HEADER, id="x86_64"),
        pytest.param(AARCH64, GENERIC_HEADER, id="aarch64"),
    ],
)
def test_the_numbers_are_those_of_the_kernels_headers(
    architecture: Architecture, header: Path
) -> None:
    if not header.exists():
        pytest.skip(f"not installed: {header}")
    text = header.read_text(encoding="utf-8")
    # Where 32-bit machines have another name, the header writes __NR3264_.
    found = re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)\n", text)
    defined = {name: int(number) for name, number in found}
    defined.setdefault("newfstatat", defined.get("fstatat", -1))

    for name, number in architecture.numbers.items():
        assert (name, defined[name]) == (name, number)


def test_only_what_aarch64_never_had_is_missing_there() -> None:
    listed = {rule.name for rule in rules(pid=1, opening=True, memfds=True)}

    assert listed - AARCH64.numbers.keys() == {"poll"}
    assert listed <= X86_64.numbers.keys()


def test_a_call_that_fails_says_which() -> None:
    with pytest.raises(OSError, match="ftruncate: "):
        call("ftruncate", -1, 0)
