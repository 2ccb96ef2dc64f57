"""Models: admitting, keeping and running them. No keys, no HTTP, no TEE.

`service.InferenceService` is the door; `runtime` alone knows ONNX Runtime.
"""
