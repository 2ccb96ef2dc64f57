"""Models: admitting, keeping and running them. No keys, no HTTP, no TEE."""
