"""Made-up vendors: a small PKI each, that issues evidence with any field set.

What they make is well formed and well signed, under roots that nobody pins: a release
policy refuses it, and only a policy that names the root in `insecure_roots` does not.
"""
