"""What believes the hardware, or says why not: the RATS verifier."""
