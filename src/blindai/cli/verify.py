"""`blindai verify`: attest an enclave, and show everything that was looked at."""

from typing import Annotated

import typer

from blindai.cli.ear_option import EarKeyOption, EarOption
from blindai.cli.target import (
    URL_HELP,
    EndorsementsOption,
    JsonOption,
    PolicyOption,
    SimulationOption,
    TcbInfoOption,
    choose_target,
)

EXAMPLE = "Example: blindai verify https://enclave.example --policy policy.toml"


def verify(  # noqa: PLR0913  the options that users know
    url: Annotated[str, typer.Argument(metavar="URL", help=URL_HELP)] = "",
    *,
    policy: PolicyOption = None,
    simulation: SimulationOption = False,
    endorsements: EndorsementsOption = None,
    tcb_info: TcbInfoOption = None,
    ear: EarOption = None,
    ear_key: EarKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Attest an enclave, print each check, and say whether it may be trusted.

    Nothing is sent but a nonce. With --json there is one object on stdout, whether the
    enclave is accepted or not.

    Raises:
        BlindAIError: If it is not accepted.
        Exit: The same, when JSON was printed.
    """
    from blindai.cli import enclave_verdict as verdict  # noqa: PLC0415  slow to import

    target = choose_target(
        url, policy=policy, simulation=simulation, endorsements=endorsements
    )
    verdict.run(target, verdict.Extras(tcb_info, ear, ear_key), as_json=as_json)
