"""What the documentation says of the system calls is what the filter allows."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from blindai.inference.sandbox.rules import Rule, rules

PAGE = Path(__file__).parents[3] / "docs" / "security" / "sandbox.md"
_ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (?:`(\w+)` )?\|$", re.MULTILINE)


def _row(rule: Rule) -> tuple[str, str, str]:
    match rule.only:
        case None:
            return rule.name, "never", errno.errorcode[rule.errno]
        case ():
            return rule.name, "always", ""
        case only:
            words = "; ".join(each.why for each in only)
            return rule.name, words, errno.errorcode[rule.errno]


def test_the_table_of_system_calls_is_the_filters() -> None:
    text = PAGE.read_text(encoding="utf-8")
    section = text.partition("\n## System calls\n")[2].partition("\n## ")[0]

    listed = [_row(rule) for rule in rules(pid=1, opening=True, memfds=True)]
    assert sorted(_ROW.findall(section)) == sorted(listed)
