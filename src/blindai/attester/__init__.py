"""What asks the hardware, inside the enclave, for evidence."""
