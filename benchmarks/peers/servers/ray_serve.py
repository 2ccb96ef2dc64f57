"""Start Ray Serve on one model: PORT, THREADS, WORKERS and the model's file.

The body of a request is the tensor's bytes, and so is the answer's.
"""

import signal
import sys
import tempfile
from typing import Any

import ray
from engine import Model
from ray import serve
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment(max_ongoing_requests=100)
class OnnxModel:
    """One ONNX model."""

    def __init__(self, path: str, threads: int) -> None:
        self._model = Model(path, threads)

    async def __call__(self, request: Request) -> Response:
        """Run the model on a body."""
        output = self._model.run(self._model.read(await request.body()))
        return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    port, threads, workers = map(int, sys.argv[1:4])
    with tempfile.TemporaryDirectory(prefix="ray") as folder:  # a short path: sockets
        ray.init(
            num_cpus=workers + 1,
            object_store_memory=256 << 20,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=folder,
        )
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        deployment: Any = OnnxModel  # as its decorator makes it
        app = deployment.options(num_replicas=workers).bind(sys.argv[4], threads)
        serve.run(app, route_prefix="/")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        serve.shutdown()
        ray.shutdown()
