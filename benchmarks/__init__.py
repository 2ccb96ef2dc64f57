"""Measurements that the documentation quotes: ratios within one run, never timed tests.

python -m benchmarks            run all, write docs/benchmarks.md and its plot
python -m benchmarks latency    run one, print it
"""

import blindai.inference  # noqa: F401  before ONNX Runtime: its telemetry is then off
