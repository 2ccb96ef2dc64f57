"""`blindai policy`: write, read and compare policies."""

import typer

from blindai.cli.about import about
from blindai.cli.policy_convert import EXAMPLE as CONVERT
from blindai.cli.policy_convert import convert
from blindai.cli.policy_diff import EXAMPLE as DIFF
from blindai.cli.policy_diff import diff
from blindai.cli.policy_explain import EXAMPLE as EXPLAIN
from blindai.cli.policy_explain import explain
from blindai.cli.policy_new import EXAMPLE as NEW
from blindai.cli.policy_new import new

app = typer.Typer(help="Write, read and compare policies.", no_args_is_help=True)


@app.callback()
def policy() -> None:
    """Write, read and compare policies."""


app.command(help=about(new), epilog=NEW)(new)
app.command(help=about(explain), epilog=EXPLAIN)(explain)
app.command(help=about(diff), epilog=DIFF)(diff)
app.command(help=about(convert), epilog=CONVERT)(convert)
