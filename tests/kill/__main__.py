"""`make test-kill`: python -m tests.kill ROUNDS [ISOLATION]."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.kill.driver import run

if __name__ == "__main__":
    rounds = int(sys.argv[1])
    isolation = sys.argv[2] if len(sys.argv) > 2 else "thread"
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        longest_s = 0.25 if isolation == "thread" else 2.0  # some changes' time
        counts = run(Path(folder), rounds, isolation, longest_s)
    took = time.monotonic() - started
    words = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    sys.stdout.write(
        f"killed {rounds} times ({isolation} isolation) in {took:.0f} s; changes:"
        f" {words}; nothing acknowledged was lost, nothing is there in part\n"
    )
