"""Which policy a client goes by: given, named by a path, from the environment, or none.

There is no policy by default: whoever does not say what to trust trusts nothing.
"""

from __future__ import annotations

import inspect
import os
import warnings
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from blindai.errors import ConfigurationError, reason
from blindai.verifier import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from blindai.proofs import ProofResult
    from blindai.verifier import AttestationResult


_OF_OLD = "attributes_flags_hex"  # a key of the original BlindAI's policies


class SimulationWarning(UserWarning):
    """The enclave is simulated: whoever runs it can read everything."""


class DebugWarning(UserWarning):
    """The enclave is in debug mode: whoever runs it can read everything."""


# Each time, not once a place; whoever filters warnings otherwise comes first.
warnings.simplefilter("always", SimulationWarning, append=True)
warnings.simplefilter("always", DebugWarning, append=True)


def choose_policy(
    policy: Policy | str | PathLike[str] | None, *, simulation: bool
) -> Policy:
    """The appraisal policy to go by.

    Args:
        policy: A policy, the path of a policy file, or None for the one that the
            environment variable BLINDAI_POLICY names.
        simulation: Whether a simulated enclave is accepted.

    Raises:
        ConfigurationError: If there is none, it cannot be read, or it contradicts
            `simulation`.
    """
    if policy is None and not simulation:
        policy = os.environ.get("BLINDAI_POLICY")
    if policy is None:
        if not simulation:
            raise ConfigurationError(
                "policy: expected a policy file (policy=... or BLINDAI_POLICY), got "
                "none; for a simulated enclave pass simulation=True"
            )
        policy = Policy.for_simulation()
    elif isinstance(policy, str | PathLike):
        policy = load_policy(Path(policy))
    elif not isinstance(policy, Policy):
        raise ConfigurationError(
            "policy: expected the path of a policy file, or a Policy, got "
            f"{type(policy).__name__}"
        )
    if simulation and not policy.insecure_accept_simulation:
        raise ConfigurationError(
            "policy: expected insecure_accept_simulation = true beside "
            "simulation=True; leave simulation=True out to go by the policy alone"
        )
    return policy


def load_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        ConfigurationError: If it cannot be read or is malformed.
    """
    text = read_policy_file(path)
    try:
        return Policy.parse(text)
    except ConfigurationError as error:
        if _OF_OLD not in text:
            raise
        raise ConfigurationError(
            f"policy {path}: expected one of this release, got one of the original"
            f" BlindAI; convert it: blindai policy convert {path}"
        ) from error


def read_policy_file(path: Path) -> str:
    """A policy file's text.

    Raises:
        ConfigurationError: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"policy {path}: cannot be read: {reason(error)}"
        ) from error


def warn_of_worthless(result: ProofResult) -> None:
    """Say, each time, that a proof which the policy let through proves nothing."""
    for kind, words in why_worthless(result):
        warnings.warn(words, kind, stacklevel=_callers())


def why_worthless(result: ProofResult) -> Iterator[tuple[type[UserWarning], str]]:
    """Why a proof proves nothing that the policy let through, and what it is called."""
    if result.attestation is None:
        return
    if result.simulated:
        yield (
            SimulationWarning,
            (
                "this proof is of a SIMULATED enclave, whose keys are public: anybody"
                " can have made it"
            ),
        )
    if result.attestation.claims.debug:
        yield (
            DebugWarning,
            (
                "this proof is of an enclave in DEBUG mode: whoever ran it could read"
                " and change what is in it"
            ),
        )


def warn_of_danger(result: AttestationResult) -> None:
    """Say, each time, that what the policy let through protects nothing."""
    if result.simulated:
        warnings.warn(
            "this enclave is SIMULATED: its keys are public and whoever runs it can "
            "read everything you send; never send it real data",
            SimulationWarning,
            stacklevel=_callers(),
        )
    if result.claims.debug:
        warnings.warn(
            "this enclave is in DEBUG mode: whoever runs it can read its memory; "
            "never send it real data",
            DebugWarning,
            stacklevel=_callers(),
        )


def _callers() -> int:
    """How far up the stack, from whoever asks, the code is that uses blindai."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and _is_ours(frame):
        frame, level = frame.f_back, level + 1
    return level


def _is_ours(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] == "blindai"
