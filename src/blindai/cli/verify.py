"""`blindai verify`: attest an enclave, and show everything that was looked at."""

from typing import TYPE_CHECKING, Annotated

import typer

from blindai.cli import console
from blindai.cli.exits import exit_code
from blindai.cli.target import (
    URL_HELP,
    EndorsementsOption,
    JsonOption,
    PolicyOption,
    SimulationOption,
    Target,
    choose_target,
)
from blindai.errors import AttestationError, BlindAIError

if TYPE_CHECKING:
    from blindai.transcript import Transcript
    from blindai.verifier import AttestationResult

EXAMPLE = "Example: blindai verify https://enclave.example --policy policy.toml"
_FACTS = (
    "simulated",
    "tee",
    "measurement",
    "config_digest",
    "build",
    "not_before",
    "not_after",
)


def verify(
    url: Annotated[str, typer.Argument(metavar="URL", help=URL_HELP)] = "",
    *,
    policy: PolicyOption = None,
    simulation: SimulationOption = False,
    endorsements: EndorsementsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Attest an enclave, print each check, and say whether it may be trusted.

    Nothing is sent but a nonce. With --json there is one object on stdout, whether the
    enclave is accepted or not.

    Raises:
        BlindAIError: If it is not accepted.
        Exit: The same, when JSON was printed.
    """
    target = choose_target(
        url, policy, simulation=simulation, endorsements=endorsements
    )
    try:
        with target.connect() as connection:
            result = connection.attestation
    except BlindAIError as error:
        if as_json:
            console.print_json(_refusal(target, error))
            raise typer.Exit(exit_code(error)) from error
        if isinstance(error, AttestationError):
            _print_refusal(target, error)
        raise
    if as_json:
        console.print_json(_acceptance(target, result))
    else:
        _print_result(target, result)


def _print_transcript(transcript: "Transcript") -> None:
    from blindai.cli.transcript_table import (  # noqa: PLC0415  slow to import
        summarise,
        tabulate,
    )

    screen = console.out()
    screen.print(tabulate(transcript))
    screen.print(f"\n{summarise(transcript)}")


def _print_refusal(target: Target, error: AttestationError) -> None:
    if error.transcript is not None:
        _print_transcript(error.transcript)
    console.out().print(f"\nrefused: {target.url}", style="bold red", soft_wrap=True)


def _print_result(target: Target, result: "AttestationResult") -> None:
    _print_transcript(result.transcript)
    keyset = result.keyset
    facts = {
        "TEE": f"{result.claims.tee}{' (SIMULATED)' if result.simulated else ''}",
        "measurement": result.claims.measurement.hex(),
        "configuration": keyset.config_digest.hex(),
        "build": console.printable(keyset.build),
        "keys valid": f"{keyset.not_before:%Y-%m-%d %H:%M} to "
        f"{keyset.not_after:%Y-%m-%d %H:%M} UTC",
        "policy": target.policy.digest.hex(),
    }
    screen = console.out()
    screen.print()
    for label, value in facts.items():
        screen.print(f"{label:14} {value}", soft_wrap=True)
    verdict, style = f"\naccepted: {target.url}", "bold green"
    if result.simulated:
        verdict, style = f"{verdict}, as a SIMULATION that proves nothing", "bold red"
    screen.print(verdict, style=style, soft_wrap=True)


def _acceptance(target: Target, result: "AttestationResult") -> dict[str, object]:
    keyset = result.keyset
    facts = (
        result.simulated,
        result.claims.tee,
        result.claims.measurement.hex(),
        keyset.config_digest.hex(),
        keyset.build,
        keyset.not_before.isoformat(),
        keyset.not_after.isoformat(),
    )
    return {
        "verdict": "accepted",
        "url": target.url,
        **dict(zip(_FACTS, facts, strict=True)),
        "policy_digest": target.policy.digest.hex(),
        "checks": [check.to_json() for check in result.transcript.checks],
    }


def _refusal(target: Target, error: BlindAIError) -> dict[str, object]:
    """The same keys; what was not proved is null."""
    attested = isinstance(error, AttestationError)
    transcript = error.transcript if isinstance(error, AttestationError) else None
    checks = () if transcript is None else transcript.checks
    return {
        "verdict": "refused" if attested else "not reached",
        "url": target.url,
        **dict.fromkeys(_FACTS),
        "policy_digest": target.policy.digest.hex(),
        "checks": [check.to_json() for check in checks],
        "error": {
            "type": type(error).__name__,
            "message": error.message,
            "exit_code": int(exit_code(error)),
        },
    }
