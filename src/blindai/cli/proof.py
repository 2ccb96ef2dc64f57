"""`blindai proof`: what an enclave signed, in files; offline."""

from pathlib import Path
from typing import Annotated

import typer

from blindai.cli.about import about
from blindai.cli.target import JsonOption, PolicyOption, SimulationOption, accepted

SHOW = "Example: blindai proof show run.proof"
VERIFY = (
    "Example: blindai proof verify run.proof --policy policy.toml --inputs inputs.npz"
)
DISCLOSE = "Example: blindai proof disclose run.proof --output label --to label.proof"
CHAIN = "Example: blindai proof chain one.proof two.proof --policy policy.toml"
REPLAY = (
    "Example: blindai proof replay run.proof --model model.onnx --inputs inputs.npz "
    "--policy policy.toml"
)

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="FILE is a proof file, a saved response, or a proof of the original "
        "BlindAI.",
    ),
]
OurFileArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="FILE is a proof file or a saved response."),
]
InputsOption = Annotated[
    Path | None,
    typer.Option(
        "--inputs",
        metavar="FILE",
        help="What went in, as `blindai predict` takes it; the file needs the salt.",
    ),
]
ProofAtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Verify for this time, such as 2026-06-24 or 2026-06-24T12:00:00Z. The "
        "proof's own date, if not given.",
    ),
]
LaterEndorsementsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--endorsements",
        metavar="FILE",
        help="What vendors have said since (see `blindai endorsements fetch`): for "
        "today and for --at in place of what says the same in the proof. Give it "
        "several times for several.",
    ),
]

app = typer.Typer(help="What an enclave signed, in files.", no_args_is_help=True)


@app.callback()
def proof() -> None:
    """What an enclave signed, in files."""


def show(file: FileArgument, *, as_json: JsonOption = False) -> None:
    """Say in words what a proof says, without believing it.

    Raises:
        BlindAIError: If it cannot be read.
    """
    from blindai.cli import proof_show  # noqa: PLC0415  slow to import

    proof_show.run(file, as_json=as_json)


def verify(  # noqa: PLR0913  one argument an option
    file: FileArgument,
    *,
    policy: PolicyOption = None,
    simulation: SimulationOption = False,
    inputs: InputsOption = None,
    at: ProofAtOption = None,
    endorsements: LaterEndorsementsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a proof up to its vendor's root, under a policy, and print each check.

    Nothing is sent anywhere. It is verified as of its own date, and then for today:
    certificates and keys have ended since.

    Raises:
        BlindAIError: If it is not accepted as of that date.
        Exit: The same, when JSON was printed.
    """
    from blindai.cli import proof_verdict  # noqa: PLC0415  slow to import

    proof_verdict.run(
        proof_verdict.Request(
            file=file,
            policy=accepted(policy, simulation=simulation),
            inputs=inputs,
            at=at,
            endorsements=tuple(endorsements or ()),
            as_json=as_json,
        )
    )


def disclose(
    file: OurFileArgument,
    *,
    to: Annotated[Path, typer.Option(metavar="FILE", help="Where to write.")],
    output: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="An output to reveal. Give it several times for more."
        ),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME", help="An input to reveal, likewise."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a proof that reveals some tensors, and shows that they belong.

    The file has to have the salt and the tensors. What is written has neither the salt
    nor the others.

    Raises:
        BlindAIError: If the file does not have them.
    """
    from blindai.cli import proof_disclose  # noqa: PLC0415  slow to import

    proof_disclose.run(
        file, to, inputs=input_ or (), outputs=output or (), as_json=as_json
    )


def chain(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES...", help="FILES are proofs, in any order."),
    ],
    *,
    policy: PolicyOption = None,
    simulation: SimulationOption = False,
    as_json: JsonOption = False,
) -> None:
    """Verify proofs, and say whether one is missing or two are at one place.

    Raises:
        BlindAIError: If one is not accepted.
        Exit: If there are gaps, forks or repeats.
    """
    from blindai.cli import proof_chain  # noqa: PLC0415  slow to import

    policy_ = accepted(policy, simulation=simulation)
    proof_chain.run(tuple(files), policy_, as_json=as_json)


def replay(  # noqa: PLR0913  one argument an option
    file: OurFileArgument,
    *,
    model: Annotated[
        Path, typer.Option(metavar="FILE", help="The ONNX file that ran.")
    ],
    inputs: Annotated[
        Path,
        typer.Option(metavar="FILE", help="What went in, as `blindai predict` has it."),
    ],
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="NUMBER",
            help="How far two elements may be apart; the file needs the outputs.",
        ),
    ] = None,
    policy: PolicyOption = None,
    simulation: SimulationOption = False,
    at: ProofAtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a proof, run the model again on this machine, and compare bits.

    The model runs in a sandboxed process, as on a server.

    Raises:
        BlindAIError: If the proof is not accepted, or is of another model.
        Exit: If the outputs are not the same.
    """
    from blindai.cli import proof_replay  # noqa: PLC0415  slow to import

    proof_replay.run(
        proof_replay.Request(
            file=file,
            model=model,
            inputs=inputs,
            tolerance=tolerance,
            policy=accepted(policy, simulation=simulation),
            at=at,
            as_json=as_json,
        )
    )


app.command(help=about(show), epilog=SHOW)(show)
app.command(help=about(verify), epilog=VERIFY)(verify)
app.command(help=about(disclose), epilog=DISCLOSE)(disclose)
app.command(help=about(chain), epilog=CHAIN)(chain)
app.command(help=about(replay), epilog=REPLAY)(replay)
