"""Confidential AI inference: send nothing until the enclave has proved itself."""
