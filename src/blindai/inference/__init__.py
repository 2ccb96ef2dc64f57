"""Models: admitting, keeping and running them. No keys, no HTTP, no TEE.

`service.InferenceService` is the door; `runtime` alone knows ONNX Runtime.
"""

import os

TELEMETRY_SWITCH = "ORT_DISABLE_TELEMETRY"
"""Of ONNX Runtime; set here, whatever it was before."""


def silence_telemetry() -> None:
    """Switch ONNX Runtime's telemetry off, which it looks at once, when it is loaded.

    It is on by default: it writes events, with texts of errors that may hold values of
    tensors, into a database below HOME, and sends them to its maker. Its own function
    for this comes too late: the file and the thread are there by then.
    """
    os.environ[TELEMETRY_SWITCH] = "1"


silence_telemetry()
