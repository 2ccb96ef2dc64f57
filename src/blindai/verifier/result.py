"""What verification and appraisal return: the types that stand for trust.

    Evidence -parse-> Claims -verify-> VerifiedClaims -appraise-> AttestationResult

Only `blindai.verifier` makes the last two. They ask for a token that nothing else has,
so making one elsewhere by accident is a TypeError; a test looks through the package for
the attempt. `copy` returns the same object, `dataclasses.replace` and `pickle` raise.
Python cannot stop someone who means to (`object.__setattr__`); neither can this.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn, Self, final

if TYPE_CHECKING:
    from datetime import datetime

    from blindai.protocol.keyset import Keyset, Statement
    from blindai.transcript import Transcript
    from blindai.verifier.claims import Claims
    from blindai.verifier.nvidia.claims import GpuClaims
    from blindai.verifier.policy import Policy
    from blindai.verifier.roots import Root

TOKEN: Final = object()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaims:
    """Claims that the root's owner stands for; whether we want them is not yet said.

    Attributes:
        claims: What the evidence says.
        root: The root that its signatures lead to.
    """

    claims: Claims
    root: Root
    token: InitVar[object]

    def __post_init__(self, token: object) -> None:
        _require_token(token)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        _refuse_pickling()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationResult:
    """An enclave that has proved itself, under a policy, at a time.

    Attributes:
        claims: What its evidence says.
        keyset: The keys that the evidence binds, and what the enclave runs.
        statement: What the hardware signed about the keyset.
        gpus: What the GPUs beside it say, if the policy asks for any.
        transcript: Each check, in order.
        verified_at: The `now` for which all of this holds.
        policy: What was accepted.
        simulated: Whether a root that it rests on is no vendor's, so that the result
            says nothing about hardware.
    """

    claims: Claims
    keyset: Keyset
    statement: Statement
    gpus: tuple[GpuClaims, ...] = ()
    transcript: Transcript = field(repr=False)
    verified_at: datetime
    policy: Policy = field(repr=False)
    simulated: bool
    token: InitVar[object]

    def __post_init__(self, token: object) -> None:
        _require_token(token)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        _refuse_pickling()


def _require_token(token: object) -> None:
    if token is not TOKEN:
        raise TypeError("only blindai.verifier makes this; call verifier.verify()")


def _refuse_pickling() -> NoReturn:
    raise TypeError("trust does not travel in a pickle; send the evidence instead")
