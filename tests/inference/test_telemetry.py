"""ONNX Runtime reports to nobody, and writes nothing down."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RUN = """
import os, pathlib, sys
threads = lambda: len(os.listdir("/proc/self/task"))
import numpy
before = threads()
from blindai.inference import runtime
assert threads() == before, "a thread of its own"
try:
    providers = ["CPUExecutionProvider"]
    runtime.onnxruntime.InferenceSession(b"no model", providers=providers)
except Exception as error:
    print(type(error).__name__)
opened = {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
          if os.path.exists(f"/proc/self/fd/{n}")}
assert not [name for name in opened if "onnxruntime" in name], opened
"""


def test_it_keeps_no_database_and_no_thread_to_send_it(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}

    ran = subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-c", RUN],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stdout == "InvalidProtobuf\n", ran.stderr
    assert list(tmp_path.rglob("*")) == []
