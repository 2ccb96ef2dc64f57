"""Start LitServe on one model: PORT, THREADS, WORKERS and the model's file.

The body of a request is the tensor's bytes, and so is the answer's.
"""

import sys
from pathlib import Path
from typing import Annotated

import litserve
from engine import Array, Model
from fastapi import Body, Response

Octets = Annotated[bytes, Body(media_type="application/octet-stream")]


class OnnxApi(litserve.LitAPI):
    """One ONNX model."""

    def __init__(self, path: Path, threads: int) -> None:
        super().__init__(api_path=f"/{path.stem}")
        self._path, self._threads = path, threads

    def setup(self, device: object) -> None:
        """Load the model, in each worker."""
        del device
        self._model = Model(self._path, self._threads)

    def decode_request(self, request: Octets) -> Array:
        """The tensor of a body."""
        return self._model.read(request)

    def predict(self, x: Array) -> Array:
        """Run the model."""
        return self._model.run(x)

    def encode_response(self, output: Array) -> Response:
        """The bytes of the answer."""
        return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    port, threads, workers = map(int, sys.argv[1:4])
    server = litserve.LitServer(
        OnnxApi(Path(sys.argv[4]), threads),
        accelerator="cpu",
        workers_per_device=workers,
        timeout=False,
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
