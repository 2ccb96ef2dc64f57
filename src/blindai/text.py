"""Text from elsewhere, made fit for a terminal and a log."""


def printable(text: str) -> str:
    """The text, with everything that is not plainly visible written as an escape."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text
    )
