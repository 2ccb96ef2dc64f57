"""The enclave: one sealed door, and the V2 application behind it."""
