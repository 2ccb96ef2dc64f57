"""`blindai evidence`: evidence in files, of any TEE and anybody's enclave."""

import typer

from blindai.cli.about import about
from blindai.cli.evidence_show import EXAMPLE as SHOW
from blindai.cli.evidence_show import show
from blindai.cli.evidence_verify import EXAMPLE as VERIFY
from blindai.cli.evidence_verify import verify

app = typer.Typer(help="Look at evidence in files.", no_args_is_help=True)


@app.callback()
def evidence() -> None:
    """Look at evidence in files."""


app.command(help=about(verify), epilog=VERIFY)(verify)
app.command(help=about(show), epilog=SHOW)(show)
