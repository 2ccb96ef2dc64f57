"""What runs in the environments of the peers: scripts, each on its own."""
