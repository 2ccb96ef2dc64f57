"""A real server that can be started again in milliseconds: each start is a fork.

python -m tests.kill.server FOLDER PORT KEY_DIGEST ISOLATION

For each line on standard input a new process serves; its pid is written to standard
output, and `dead` once it has ended.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from blindai.attester.simulated import SimulatedAttester
from blindai.server.serve import Listen, build_app, build_server
from blindai.server.settings import (
    ApiKey,
    GatewaySettings,
    InferenceSettings,
    Settings,
)


def serve(folder: Path, sock: socket.socket, settings: Settings) -> None:
    """Serve until the end of the process."""
    attester = SimulatedAttester(sealing_key_file=folder / "key")
    app = build_app(settings, attester, data_dir=folder)
    build_server(app, Listen(port=0)).run([sock])


def main(folder: Path, port: int, settings: Settings) -> None:
    """Start a server for each line that is read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            sock.listen()
            serve(folder, sock, settings)
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        os.waitpid(pid, 0)
        sys.stdout.write("dead\n")
        sys.stdout.flush()


if __name__ == "__main__":
    key = ApiKey(name="killer", sha256=sys.argv[3], scopes=("infer", "upload"))
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]),
        Settings(
            inference=InferenceSettings(isolation=sys.argv[4], threads=1, workers=2),
            gateway=GatewaySettings(quotes_per_second=1000),
            api_keys=(key,),
        ),
    )
