"""Where `blindai serve` and `blindai endorsements fetch` get endorsements from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blindai.server.stapling import Endorsing

AMD_ADDRESS = "https://kdsintf.amd.com"
INTEL_ADDRESS = "https://api.trustedservices.intel.com"


class Mode(StrEnum):
    """What `serve` does about endorsements."""

    FETCH = "fetch"
    REQUIRE = "require"
    OFF = "off"


ModeOption = Annotated[
    Mode,
    typer.Option(
        "--endorsements",
        metavar="MODE",
        help="What vendors say about this platform's key: fetch it and keep it "
        "current; require it, and do not start without it; or off, and staple only "
        "what the hardware hands over.",
    ),
]
AmdOption = Annotated[
    str,
    typer.Option(
        "--endorsements-url-amd",
        metavar="URL",
        help="AMD's key distribution service, or a mirror of it.",
    ),
]
IntelOption = Annotated[
    str,
    typer.Option(
        "--endorsements-url-intel",
        metavar="URL",
        help="Intel's provisioning certification service, or a PCCS.",
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--endorsements-cache",
        metavar="DIR",
        help="Keep endorsements here. If not given, in the folder `endorsements` of "
        "--data-dir, if there is one.",
    ),
]


def choose_endorsing(
    mode: Mode, amd: str, intel: str, cache: Path | None, data_dir: Path | None
) -> Endorsing | None:
    """What the options mean; None to fetch nothing.

    Raises:
        ConfigurationError: If an address cannot be used.
    """
    from blindai.endorsements.sources import Addresses  # noqa: PLC0415  slow to import
    from blindai.server.stapling import Endorsing  # noqa: PLC0415  likewise

    addresses = Addresses(amd=amd, intel=intel)
    if mode is Mode.OFF:
        return None
    if cache is None and data_dir is not None:
        cache = data_dir / "endorsements"
    return Endorsing(addresses=addresses, cache=cache, required=mode is Mode.REQUIRE)
