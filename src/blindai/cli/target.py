"""Which enclave a command talks to, and under which policy: options and connection."""

import functools
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blindai.cli.console import warn_of_simulation
from blindai.cli.exits import CommandError
from blindai.errors import ConfigurationError, reason

if TYPE_CHECKING:
    from blindai.client.connection import Connection
    from blindai.verifier import Policy

URL_HELP = "URL is the enclave's address; BLINDAI_ADDR if it is left out."

PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        help="Appraisal policy: which enclaves to accept. BLINDAI_POLICY if not given.",
    ),
]
SimulationOption = Annotated[
    bool,
    typer.Option(
        "--simulation", help="Accept a simulated enclave, which protects nothing."
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        help="API key. Others on this machine can see it in the list of processes: "
        "prefer BLINDAI_API_KEY or --api-key-file.",
    ),
]
ApiKeyFileOption = Annotated[
    Path | None,
    typer.Option("--api-key-file", metavar="FILE", help="File that holds the API key."),
]
EndorsementsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--endorsements",
        metavar="FILE",
        help="Endorsements of your own (see `blindai endorsements fetch`), in place of "
        "what says the same among those that the enclave sends. Give it several times "
        "for several.",
    ),
]
ModelVersionOption = Annotated[
    int | None,
    typer.Option("--version", min=1, metavar="NUMBER", help="Of the model."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON value, for machines.")
]

ProofOption = Annotated[
    Path | None,
    typer.Option(
        "--proof",
        metavar="FILE",
        help="Have the enclave sign what it did, and write the signed answer to this "
        "file; see `blindai proof`.",
    ),
]

TcbInfoOption = Annotated[
    Path | None,
    typer.Option(
        "--tcb-info",
        metavar="FILE",
        help="Say too what the verdict is under this newer TCB information: Intel's in "
        "JSON, or the least firmware of SEV-SNP in TOML.",
    ),
]


Reach = Callable[[str], "Target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An enclave, and what to accept and to show there.

    Attributes:
        url: Its address.
        policy: What to accept.
        api_key: What to show; BLINDAI_API_KEY if None.
        endorsements: Files with endorsements of the user's own.
    """

    url: str
    policy: "Policy"
    api_key: str | None = field(default=None, repr=False)
    endorsements: tuple[Path, ...] = ()

    @contextmanager
    def connect(self) -> Iterator["Connection"]:
        """A verified connection; a simulated enclave is warned of."""
        from blindai.client.connection import Connection  # noqa: PLC0415  heavy
        from blindai.client.policies import SimulationWarning  # noqa: PLC0415  likewise

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SimulationWarning)  # said below instead
            connection = Connection(
                self.url,
                policy=self.policy,
                api_key=self.api_key,
                endorsements=self.endorsements,
            )
            try:
                if connection.attestation.simulated:
                    warn_of_simulation()
                yield connection
            finally:
                connection.close()


def choose_target(
    url: str,
    *,
    policy: PolicyOption = None,
    simulation: SimulationOption = False,
    api_key: ApiKeyOption = None,
    api_key_file: ApiKeyFileOption = None,
    endorsements: EndorsementsOption = None,
) -> Target:
    """The enclave that a command's options mean.

    Raises:
        CommandError: If they name no address, no policy or two API keys.
        ConfigurationError: If a file cannot be read.
    """
    address = url or os.environ.get("BLINDAI_ADDR")
    if not address:
        raise CommandError(
            "address: expected a URL or BLINDAI_ADDR, got neither",
            "Name the enclave, such as https://enclave.example.",
        )
    return Target(
        url=address,
        policy=accepted(policy, simulation=simulation),
        api_key=choose_secret("api-key", api_key, api_key_file),
        endorsements=tuple(endorsements or ()),
    )


def reaching(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `choose_target`, in the place of its `reach`.

    `reach` is then `choose_target` with what was given for them: of a URL it makes the
    `Target`.
    """
    own = inspect.signature(command)
    chosen = inspect.signature(choose_target).parameters.values()
    options = [each for each in chosen if each.kind is each.KEYWORD_ONLY]
    parameters: list[inspect.Parameter] = []
    for each in own.parameters.values():
        parameters += options if each.name == "reach" else [each]

    @functools.wraps(command)
    def run(*arguments: object, **given: object) -> None:
        chosen: dict[str, Any] = {each.name: given.pop(each.name) for each in options}
        command(*arguments, reach=functools.partial(choose_target, **chosen), **given)

    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # as documented
    return run


def split_words(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """The arguments `[URL] NAME...`; an empty URL where it was left out.

    Raises:
        BadParameter: If there are more or fewer.
    """
    if len(words) == len(names):
        return ["", *words]
    if len(words) == len(names) + 1:
        return list(words)
    raise typer.BadParameter(f"expected [URL] {' '.join(names)}, got {len(words)}")


def accepted(path: Path | None, *, simulation: bool) -> "Policy":
    """The policy that a command's options mean.

    Raises:
        CommandError: If they name none, or contradict each other.
    """
    from blindai.client.policies import choose_policy  # noqa: PLC0415  slow to import

    if simulation and path is not None:
        raise CommandError(
            "policy: expected --policy or --simulation, got both",
            "A policy accepts simulated enclaves with insecure_accept_simulation.",
        )
    if path is None and not simulation and not os.environ.get("BLINDAI_POLICY"):
        raise CommandError(
            "policy: expected --policy FILE, BLINDAI_POLICY or --simulation, got none",
            "Write down which enclaves to accept; for a simulated one, --simulation.",
        )
    return choose_policy(path, simulation=simulation)


def choose_secret(option: str, value: str | None, file: Path | None) -> str | None:
    """A secret that was given, or that lies in a file; None if it is neither.

    Args:
        option: The option's name, without dashes, for messages.
        value: What was given.
        file: The file that was named.

    Raises:
        CommandError: If it is both.
        ConfigurationError: If the file cannot be read.
    """
    if file is None:
        return value
    if value is not None:
        raise CommandError(
            f"secret: expected --{option} or --{option}-file, got both",
            "Leave --" + option + " out: others can see it in the list of processes.",
        )
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"--{option}-file {file}: cannot be read: {reason(error)}"
        ) from error
