"""What is known of a question, as HTML for somebody who sees it for the first time.

Everything that came from outside is escaped.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from examples.demo.asking import MAX_TOKENS

from blindai.cli.console import size
from blindai.cli.transcript_table import read_line, sections, summarise
from blindai.errors import AttestationError, TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from examples.demo.asking import Answer, Exchange, Found, Sight

    from blindai.errors import BlindAIError
    from blindai.transcript import Check, Transcript

_ROW_BYTES = 8
TOLD = {
    "report signature": "Signed by the processor, up to its maker's root",
    "report data": "It names the keys that your question is sealed to",
    "nonce": "Made for this visit: your random number is in it",
    "debug mode": "Not in debug mode, in which the host reads memory",
    "measurement": "It runs the program that was reviewed",
    "configuration digest": "With the settings, and the model, that were reviewed",
}
"""The checks that mean most, by name, in plain words."""
_UNREACHED = (
    "The enclave cannot be reached: its server has ended, or the way to it is cut."
)
_ASIDES = {"report signature": "here: a simulated one"}
_MARKS = {"good": "\u2713", "bad": "\u2717", "open": "\u00b7"}


def strip(known: Exchange | None) -> str:
    """Who is there, and what each of them has: you, the operator, the enclave."""
    you, operator, enclave = _roles(known)
    return (
        '<div class="bd-strip">'
        + _role("you", "You", "this page, on your machine", *you)
        + _wire(known)
        + _role("operator", "The operator", _who(known), *operator)
        + _wire(known)
        + _role("enclave", "The enclave", "memory that he cannot read", *enclave)
        + "</div>"
    )


def proof(known: Exchange | None) -> str:
    """Step 1: what was checked."""
    title = "The enclave proves itself"
    if known is None:
        return _step(
            1, title, "idle", _lead("Before anything is sent, its proof is checked.")
        )
    if known.transcript is None:
        return _step(1, title, *_unproved(known))
    refused = isinstance(known.failure, AttestationError)
    state = "bad" if refused else "good"
    told = {check.name: check for check in known.transcript.checks}
    rows = "".join(_told(words, told.get(name)) for name, words in TOLD.items())
    verdict = (
        "Refused. Nothing was sent but a random number."
        if refused
        else "Accepted. Only now may anything be sealed to it."
    )
    return _step(
        1,
        title,
        state,
        f'<ul class="bd-checks">{rows}</ul>',
        _verdict(state, verdict),
        _transcript(known.transcript),
        aside=f"{known.attest_s * 1e3:.0f} ms",
    )


def sight(known: Exchange | None) -> str:
    """Step 2: what the operator saw."""
    title = "What the operator sees"
    if known is None:
        lead = "All bytes that go by are written down here, and searched."
        return _step(2, title, "idle", _lead(lead))
    if known.sight is None:
        waits = known.transcript is not None
        lead = (
            "Sealed bytes go by \u2026" if waits else "A random number goes by \u2026"
        )
        return _step(2, title, "busy", _lead(lead))
    seen = known.sight
    leaked = any(each.secret and each.count for each in seen.searched)
    good = "good" if seen.requests else "idle"
    return _step(
        2,
        title,
        "bad" if leaked else good,
        *_bytes(known, seen),
        _searched(seen.searched),
        _facts(seen),
        aside=f"{size(seen.sent_bytes)} out, {size(seen.received_bytes)} back",
    )


def answer(known: Exchange | None) -> str:
    """Step 3: the answer, or why there is none."""
    title = "The answer"
    if known is None:
        lead = "Made inside, sealed there, opened here."
        return _step(3, title, "idle", _lead(lead))
    if known.answer is not None:
        return _step(3, title, "good", *_answered(known.answer))
    if known.failure is not None:
        return _step(3, "No answer", "bad", *_failed(known))
    busy = known.transcript is not None
    return _step(3, title, "busy" if busy else "idle", _lead("Not asked yet."))


def problem(error: BlindAIError) -> str:
    """Something that was wrong before anything began."""
    return (
        f'<div class="bd-problem" role="alert"><b>{escape(error.message)}</b>'
        f"<br>{escape(error.next_step)}</div>"
    )


def hexdump(data: bytes) -> str:
    """Bytes as people who look at wires see them, escaped."""
    rows = (data[at : at + _ROW_BYTES] for at in range(0, len(data), _ROW_BYTES))
    lines = "\n".join(
        f'{row.hex(" "):23}  <span class="bd-ascii">{escape(_visible(row))}</span>'
        for row in rows
    )
    return f'<pre class="bd-hex">{lines}</pre>'


def _visible(row: bytes) -> str:
    return "".join(chr(each) if 0x20 <= each < 0x7F else "." for each in row)


_Role = tuple[str, str]


def _roles(known: Exchange | None) -> tuple[_Role, _Role, _Role]:
    """State and words for you, the operator and the enclave."""
    if known is None:
        return (
            ("idle", "ask a question"),
            ("idle", "waits"),
            ("idle", "has to prove itself"),
        )
    if known.sight is None and known.transcript is None:
        return (
            ("busy", "sent a random number"),
            ("idle", "sees a random number"),
            ("busy", "makes a proof"),
        )
    if known.sight is None:
        return ("busy", "wait"), ("idle", "sees sealed bytes"), ("busy", "answers")
    if known.answer is not None:
        count = size(known.sight.sent_bytes + known.sight.received_bytes)
        return (
            ("good", "have the answer"),
            ("idle", f"saw {count}, could read none of it"),
            ("good", "proved itself, then answered"),
        )
    if isinstance(known.failure, AttestationError):
        return (
            ("good", "sent nothing"),
            ("bad", "got a random number, no more"),
            ("bad", "did not prove itself"),
        )
    return (
        ("bad", "have no answer"),
        ("idle", "read nothing"),
        ("bad", "did not answer"),
    )


def _role(kind: str, name: str, what: str, state: str, words: str) -> str:
    return (
        f'<div class="bd-role bd-{state}" data-role="{kind}"><b>{name}</b>'
        f"<small>{escape(what)}</small><span>{escape(words)}</span></div>"
    )


def _who(known: Exchange | None) -> str:
    """Whose exchange it is: the switch may stand elsewhere by now."""
    return "runs the machine, sees each byte" if known is None else known.operator


def _wire(known: Exchange | None) -> str:
    if known is None or known.ended:
        return '<div class="bd-wire">\u21c4</div>'
    return '<div class="bd-wire bd-moving">\u21c4</div>'


def _step(number: int, title: str, state: str, *body: str, aside: str = "") -> str:
    return (
        f'<section class="bd-step bd-{state}" data-step="{number}" '
        f'data-state="{state}">'
        f"<header><i>{number}</i><h3>{escape(title)}</h3><small>{escape(aside)}</small>"
        f"</header>{''.join(body)}</section>"
    )


def _lead(words: str) -> str:
    return f'<p class="bd-lead">{escape(words)}</p>'


def _verdict(state: str, words: str) -> str:
    return f'<p class="bd-verdict bd-{state}">{_MARKS[state]} {escape(words)}</p>'


def _unproved(known: Exchange) -> tuple[str, str]:
    if known.ended:
        return "bad", _lead("There was no proof to check.")
    return "busy", _lead(
        "A random number is on its way; the proof has to hold it \u2026"
    )


def _told(words: str, check: Check | None) -> str:
    """One of the checks that mean most; None where it was not reached."""
    if check is None:
        return _row("open", words, "not looked at any more")
    if check.holds:
        return _row("good", words, _ASIDES.get(check.name, ""))
    line = read_line(check)
    return _row("bad", words, f"{line.name}: {line.seen}")


def _row(state: str, words: str, more: str) -> str:
    extra = f"<small>{escape(more)}</small>" if more else ""
    return (
        f'<li class="bd-{state}"><i>{_MARKS[state]}</i>'
        f"<span>{escape(words)}{extra}</span></li>"
    )


def _transcript(transcript: Transcript) -> str:
    rows = "".join(_lines(transcript))
    return (
        f"<details><summary>The transcript: {escape(summarise(transcript))}</summary>"
        f'<div class="bd-scroll"><table class="bd-table">{rows}</table></div></details>'
    )


def _lines(transcript: Transcript) -> Iterator[str]:
    for title, group in sections(transcript):
        yield f'<tr><th colspan="4">{escape(title)}</th></tr>'
        for line in group:
            cells = (line.mark, line.name, line.seen, line.source)
            yield f"<tr>{''.join(f'<td>{escape(each)}</td>' for each in cells)}</tr>"
            if line.todo:
                todo = escape(f"do: {line.todo}")
                yield f'<tr><td></td><td></td><td colspan="2"><b>{todo}</b></td></tr>'


def _bytes(known: Exchange, seen: Sight) -> Iterator[str]:
    """The sealed bytes beside what an ordinary service would see."""
    if seen.glimpse:
        typed = known.question.encode()[: len(seen.glimpse)]
        yield '<div class="bd-pair"><div><h4>Here: a piece of the sealed request</h4>'
        yield hexdump(seen.glimpse)
        yield "</div><div><h4>For comparison: without sealing</h4>"
        yield hexdump(typed)
        yield "</div></div>"
    elif seen.clear:
        yield "<h4>All that ever left this machine</h4>"
        yield f'<pre class="bd-hex">{escape(seen.clear.strip())}</pre>'
    else:
        yield _lead("Nothing: not a byte went through.")


def _searched(searched: tuple[Found, ...]) -> str:
    if not any(each.count for each in searched if not each.secret):
        return ""  # nothing crossed: there is nothing to search
    rows = "".join(map(_hit, searched))
    return f'<h4>Searched in all of it</h4><ul class="bd-checks">{rows}</ul>'


def _hit(found: Found) -> str:
    match found.count:
        case None:
            return _row("open", f"{found.label}: too short to search for", "")
        case 0:
            return _row(
                "good" if found.secret else "bad", f"{found.label}: not there", ""
            )
        case count:
            words = (
                f"{found.label}: there, {'once' if count == 1 else f'{count} times'}"
            )
            if found.secret:
                return _row("bad", words, "This must not happen: please report it.")
            return _row("good", words, "It is no secret: so the search works.")


def _facts(seen: Sight) -> str:
    asked = ", ".join(f"{count} \u00d7 {each}" for each, count in seen.requests)
    if not asked:
        return ""
    still = "asked, when, and about how much" if seen.glimpse else "came by, and when"
    words = f"{asked}. He still learns that somebody {still}."
    return f'<p class="bd-note">{escape(words)}</p>'


def _answered(given: Answer) -> Iterator[str]:
    yield f'<blockquote class="bd-answer">{escape(given.text)}</blockquote>'
    around = max(0.0, given.took_s - given.inference_s)
    cut = ", cut there" if given.tokens >= MAX_TOKENS else ""
    facts = (
        (f"{given.took_s:.2f} s", "from sealing to opening"),
        (f"{given.inference_s:.2f} s", f"in the model: {given.tokens} tokens{cut}"),
        (f"{around * 1e3:.0f} ms", "for sealing, the way, and opening"),
    )
    yield '<div class="bd-times">'
    for value, words in facts:
        yield f"<div><b>{value}</b><small>{escape(words)}</small></div>"
    yield "</div>"


def _failed(known: Exchange) -> Iterator[str]:
    error = known.failure
    if isinstance(error, AttestationError):
        yield _lead("Your question never left this machine.")
        yield _lead(error.next_step)
    elif error is not None:
        if isinstance(error, TransportError):
            yield _lead(_UNREACHED)
        yield problem(error)
