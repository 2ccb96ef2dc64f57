"""A whole enclave for tests: the real server, simulated hardware, a free local port.

    with SimulatedEnclave() as enclave, enclave.connect() as client:
        client.upload_model("model.onnx")

Attacks are one line: give it another platform, other settings or another attester.
"""

from __future__ import annotations

import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Self

from blindai.attester.simulated import SimulatedAttester
from blindai.client.connection import Connection
from blindai.client.policies import SimulationWarning
from blindai.server.serve import Listen, bind, build_app, build_server
from blindai.server.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from blindai.attester import Attester, DeviceAttester
    from blindai.server.asgi import App

_START_TIMEOUT_S = 30.0


class SimulatedEnclave:
    """A server in a thread of this process, with everything real but the hardware.

    Attributes:
        url: Where it listens, once it was entered.
        app: The whole server as an ASGI application.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        attester: Attester | None = None,
        devices: DeviceAttester | None = None,
        data_dir: Path | None = None,
        app: App | None = None,
    ) -> None:
        """Prepare an enclave.

        Args:
            settings: Its configuration; the defaults if not given.
            attester: Its hardware; the simulated one if not given.
            devices: Its GPUs; none if not given.
            data_dir: Where it keeps sealed models; nowhere if None.
            app: What to serve instead of the whole server.
        """
        self.url = ""
        self.app: App = app or build_app(
            settings or Settings(),
            attester or SimulatedAttester(),
            data_dir=data_dir,
            devices=devices,
        )
        listen = Listen(port=0, drain_s=5)
        self._socket = bind(listen)
        self._server = build_server(self.app, listen)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), daemon=True
        )

    def connect(self, **options: Any) -> Connection:  # noqa: ANN401  Connection's own
        """A verified connection that neither warns of the simulation nor remembers."""
        options = {"simulation": True, "remember_stores": False, **options}
        connection = Connection(self.url, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SimulationWarning)
            return connection.__enter__()

    def __enter__(self) -> Self:
        """Start listening.

        Raises:
            RuntimeError: If the server does not start.
        """
        self._thread.start()
        give_up = time.monotonic() + _START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > give_up:
                raise RuntimeError("the simulated enclave did not start")
            time.sleep(0.002)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and wait for the thread."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
