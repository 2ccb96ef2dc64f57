"""Measurements that the documentation quotes: ratios within one run, never timed tests.

python -m benchmarks            run all, write docs/benchmarks.md and its plot
python -m benchmarks latency    run one, print it
"""

import os

# ONNX Runtime counts its uses unless this is set before it is imported. Peers, in whose
# environments there is no blindai, import this too.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
