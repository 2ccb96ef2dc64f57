"""Start MLServer on one model: PORT, THREADS, WORKERS and the model's file."""

import json
import sys
from pathlib import Path

from mlserver.cli.main import main


def _write_settings(port: int, threads: int, workers: int, model: Path) -> Path:
    """Settings beside the model: no debug mode, no metrics, no gRPC of use."""
    folder = model.parent
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_endpoint": None,
        "metrics_port": port + 2,
        "parallel_workers": workers,
        "gzip_enabled": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    described = {
        "name": model.stem,
        "implementation": "mlserver_runtime.OnnxModel",
        "parameters": {"uri": str(model), "extra": {"threads": threads}},
    }
    (folder / "model-settings.json").write_text(json.dumps(described))
    return folder


if __name__ == "__main__":
    port, threads, workers = map(int, sys.argv[1:4])
    folder = _write_settings(port, threads, workers, Path(sys.argv[4]))
    sys.argv = ["mlserver", "start", str(folder)]
    main()
