"""Mutants of the verifier that no test notices, held against the explained ones.

`make mutants` has mutmut change one thing at a time in the verifier and run the
tests that reach it, without the genuine vectors; what the type checker refuses counts
as noticed. Every survivor has to be explained by a rule of
`tools/surviving_mutants.toml`, and every rule has to explain one; else this ends
with 1.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

RULES = Path(__file__).with_name("surviving_mutants.toml")
SURVIVED = re.compile(r"(\S+): (?:survived|timeout|suspicious|no tests)")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: where, and the lines before and after."""

    name: str
    was: str
    became: str

    def __str__(self) -> str:
        """As it is printed."""
        return f"{self.name}\n  - {self.was}\n  + {self.became}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which survivors are harmless, as regular expressions, and why."""

    why: str
    name: str = ""
    was: str = ""
    became: str = ""

    def explains(self, mutant: Mutant) -> bool:
        """Whether a mutant is one of them."""
        return bool(
            re.search(self.name, mutant.name)
            and re.search(self.was, mutant.was)
            and re.search(self.became, mutant.became)
        )


def mutmut(*arguments: str) -> str:
    """What mutmut prints."""
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  our own arguments


def survivors() -> list[Mutant]:
    """The mutants that no test noticed, each with its difference."""
    names = SURVIVED.findall(mutmut("results"))
    return [read(name, mutmut("show", name)) for name in names]


def read(name: str, difference: str) -> Mutant:
    """A mutant from its difference."""
    lines = difference.splitlines()
    was = [x[1:].strip() for x in lines if re.match(r"-(?!--)", x)]
    became = [x[1:].strip() for x in lines if re.match(r"\+(?!\+\+)", x)]
    short = name.replace("blindai.verifier.", "").rpartition("__mutmut_")[0]
    return Mutant(short.replace("x_", "", 1), " ".join(was), " ".join(became))


def main() -> int:
    """Compare; print what is not explained."""
    rules = [Rule(**rule) for rule in tomllib.loads(RULES.read_text())["rule"]]
    found = survivors()
    unexplained = [m for m in found if not any(rule.explains(m) for rule in rules)]
    idle = [rule for rule in rules if not any(rule.explains(m) for m in found)]
    for mutant in unexplained:
        print(mutant)
    for rule in idle:
        print(f"explains nothing: {rule}")
    print(f"{len(found)} survivors, {len(unexplained)} of them not explained")
    return 1 if unexplained or idle else 0


if __name__ == "__main__":
    sys.exit(main())
