"""Mutants of the verifier that no test notices, held against the explained ones.

`make mutants` has mutmut change one thing at a time in the verifier and run the
tests that reach it, without the genuine vectors; what the type checker refuses counts
as noticed. Every survivor has to be explained by a rule of
`tools/surviving_mutants.toml`, and, unless modules or packages are named, every rule
has to explain one; else this ends with 1.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mutmut.mutation.diff_apply import get_diff_for_mutant

if TYPE_CHECKING:
    from collections.abc import Iterator

MUTANTS = Path("mutants")
PACKAGE = MUTANTS / "src/blindai/verifier"
NOTICED = {1, 3, 37}  # by a test, in pytest itself, by the type checker
RULES = Path(__file__).with_name("surviving_mutants.toml")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: where, and the lines before and after."""

    name: str
    was: str
    became: str

    @property
    def in_words(self) -> bool:
        """Whether a text has become longer by XX, smaller or larger, and no more."""
        return self.became.replace("XX", "").casefold() == self.was.casefold()

    def __str__(self) -> str:
        """As it is printed."""
        return f"{self.name}\n  - {self.was}\n  + {self.became}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which survivors are harmless, as regular expressions, and why.

    Attributes:
        in_words: Whether only those that change no more than a text's words are.
    """

    why: str
    name: str = ""
    was: str = ""
    became: str = ""
    in_words: bool = False

    def explains(self, mutant: Mutant) -> bool:
        """Whether a mutant is one of them."""
        return bool(
            re.search(self.name, mutant.name)
            and re.search(self.was, mutant.was)
            and re.search(self.became, mutant.became)
            and (mutant.in_words or not self.in_words)
        )


def outcomes(parts: list[str]) -> Iterator[tuple[str, Path, int | None]]:
    """How each mutant ended: its name, its file, and mutmut's code, None if not run."""
    chosen = tuple(f"blindai.verifier.{part}." for part in parts) or ("",)
    for path in sorted(PACKAGE.rglob("*.meta")):
        source = path.relative_to(MUTANTS).with_suffix("")
        for name, code in json.loads(path.read_text())["exit_code_by_key"].items():
            if name.startswith(chosen):
                yield name, source, code


def read(name: str, difference: str) -> Mutant:
    """A mutant from its difference."""
    lines = difference.splitlines()
    was = [x[1:].strip() for x in lines if re.match(r"-(?!--)", x)]
    became = [x[1:].strip() for x in lines if re.match(r"\+(?!\+\+)", x)]
    short = name.replace("blindai.verifier.", "").rpartition("__mutmut_")[0]
    return Mutant(short.replace("x_", "", 1), " ".join(was), " ".join(became))


def main(parts: list[str]) -> int:
    """Compare; print what is not explained."""
    rules = [Rule(**rule) for rule in tomllib.loads(RULES.read_text())["rule"]]
    ended = list(outcomes(parts))
    found = [
        read(name, get_diff_for_mutant(name, path=source))
        for name, source, code in ended
        if code not in NOTICED
    ]
    unexplained = [m for m in found if not any(rule.explains(m) for rule in rules)]
    idle = [rule for rule in rules if not any(rule.explains(m) for m in found)]
    for mutant in unexplained:
        print(mutant)
    for rule in () if parts else idle:
        print(f"explains nothing: {rule}")
    print(
        f"{len(ended)} mutants, {len(found)} survivors,"
        f" {len(unexplained)} of them not explained"
    )
    return 1 if unexplained or (idle and not parts) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
