"""What a process does to itself, once, before it sees a model that may be hostile.

    sandbox.offered().require(minimum)          # at start, where it says what there is
    ...                                         # fork; import and warm up; then
    sandbox.enter(Limits(memory_bytes=..., file_bytes=...), keep=[socket.fileno()])

Afterwards it reads no file, opens no socket, makes no process and looks into none; it
has threads, memory and what is open. `docs/security/sandbox.md` says what stops what.
"""

from blindai.inference.sandbox.entry import Minimum, Offered, enter, offered
from blindai.inference.sandbox.limits import Limits

__all__ = ["Limits", "Minimum", "Offered", "enter", "offered"]
