"""Start Triton with its Python backend on one model, by way of PyTriton.

PORT, THREADS, WORKERS and the model's file. Triton takes and gives V2 with binary data.
"""

import sys
from pathlib import Path

import numpy as np
from engine import Array, Model
from pytriton.model_config import ModelConfig, Tensor
from pytriton.proxy.types import Request
from pytriton.triton import Triton, TritonConfig


def _serve(port: int, threads: int, workers: int, path: Path) -> None:
    model = Model(path, threads)

    def infer(requests: list[Request]) -> list[dict[str, Array]]:
        return [{"y": np.atleast_1d(model.run(each["x"]))} for each in requests]

    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=port,
        grpc_address="127.0.0.1",
        grpc_port=port + 1,
        metrics_port=port + 2,
        allow_metrics=False,
    )
    with Triton(config=config, workspace=path.parent / "workspace") as triton:
        triton.bind(
            model_name=path.stem,
            infer_func=[infer] * workers,
            inputs=[Tensor(name="x", dtype=model.dtype, shape=model.shape)],
            outputs=[
                Tensor(name="y", dtype=np.float32, shape=model.output_shape or (1,))
            ],
            config=ModelConfig(batching=False),
        )
        triton.serve()


if __name__ == "__main__":
    port, threads, workers = map(int, sys.argv[1:4])
    _serve(port, threads, workers, Path(sys.argv[4]))
