"""The ten models of the gallery at their published size, with random weights.

Only what running them costs is measured; their answers mean nothing. `python -m
benchmarks.gallery` measures each in a process of its own and writes docs/models.md.
"""
