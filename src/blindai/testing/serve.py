"""The real server on made-up hardware, in a process of its own: for tests only.

    python -m blindai.testing.serve --tee sev-snp --policy-out policy.toml
    blindai verify http://127.0.0.1:9923 --policy policy.toml

It runs what `blindai serve` runs, attester and all; the devices and the vendor behind
them are made up. `blindai serve` cannot come here, and no release policy accepts it.
`--change measurement=00...` makes one thing another than the policy says.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from blindai.errors import BlindAIError
from blindai.server.serve import (
    Listen,
    bind,
    build_app,
    build_server,
    first_measurement,
    load_settings,
)
from blindai.testing.machines import MACHINES

if TYPE_CHECKING:
    from collections.abc import Sequence

BANNER = """\
MADE-UP HARDWARE: NOTHING IS PROTECTED
This server is for tests. Whoever runs this machine can read what you send.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT; the exit code."""
    sys.stderr.write(BANNER)
    options = _parser().parse_args(arguments)
    try:
        _serve(options)
    except (BlindAIError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _serve(options: argparse.Namespace) -> None:
    changes = dict(each.partition("=")[::2] for each in options.change)
    machine = MACHINES[options.tee](changes)
    settings = load_settings(options.config, {})
    launched = first_measurement(machine.attester)
    listen = Listen(port=options.port)
    app = build_app(
        settings,
        machine.attester,
        data_dir=options.data_dir,
        devices=machine.devices,
    )
    if options.policy_out is not None:
        options.policy_out.write_text(machine.policy, encoding="utf-8")
    with bind(listen) as sock:
        facts = {
            "listening on": f"http://{listen.host}:{sock.getsockname()[1]}",
            "measurement": launched.hex() if launched else "in the evidence",
            "sealing key": machine.attester.sealing or "none",
        }
        sys.stdout.writelines(f"{name:14} {value}\n" for name, value in facts.items())
        sys.stdout.flush()
        build_server(app, listen).run([sock])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m blindai.testing.serve",
        description="The real server on made-up hardware, for tests only.",
    )
    parser.add_argument("--tee", required=True, choices=list(MACHINES))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, metavar="DIR")
    parser.add_argument("--config", type=Path, metavar="FILE")
    parser.add_argument(
        "--policy-out", type=Path, metavar="FILE", help="write a policy that accepts it"
    )
    parser.add_argument(
        "--change",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="make one thing another than the policy says; may stand several times",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
