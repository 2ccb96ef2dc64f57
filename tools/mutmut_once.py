"""mutmut, with tests collected once and not for every mutant.

    python tools/mutmut_once.py run 'blindai.verifier.chains.*'

mutmut starts pytest anew in the process that it forks for a mutant, which takes longer
than the tests do. Here pytest collects before the fork, and runs all tests without a
mutant: what the session's fixtures made up is there already. It does so twice, because
a test that passes only once would take all mutants for noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from _pytest.config import _prepareconfig
from mutmut import __main__ as mutmut
from mutmut.runners.harness import PytestRunner
from mutmut.utils.file_utils import change_cwd
from mutmut.workers import isolation

if TYPE_CHECKING:
    from collections.abc import Iterable


class Once(PytestRunner):
    """Runs tests of one session, over and over."""

    session: pytest.Session | None = None

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """Run tests until one fails: 1, else 0. Without a mutant, run them all."""
        with change_cwd("mutants"):
            if self.session is None:
                self.session = self._collect()
            items = {item.nodeid: item for item in self.session.items}
            chosen = tests if mutant_name else [*items, *items]
            return int(not all(passes(items[name], self.session) for name in chosen))

    def _collect(self) -> pytest.Session:
        """A session with all tests, that never ends."""
        options = ["--rootdir=.", "-s", "-p", "no:terminal"]
        selection = self._pytest_add_cli_args_test_selection
        config = _prepareconfig([*options, *selection, *self._pytest_add_cli_args], [])
        config._do_configure()  # noqa: SLF001  there is no public way into a session
        session = pytest.Session.from_config(config)
        config.hook.pytest_sessionstart(session=session)
        config.hook.pytest_collection(session=session)
        return session


def passes(item: pytest.Item, session: pytest.Session) -> bool:
    """Whether a test passes; of what it needed, only the session stays."""
    session.testsfailed = 0
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=session)
    return not session.testsfailed


if __name__ == "__main__":
    isolation.PytestRunner = Once
    mutmut.cli()
