"""blindai, sealed, beside what its users would pick instead, in plaintext.

python -m benchmarks.peers               all, written to docs/performance.md
python -m benchmarks.peers tiny memory   parts, printed

Each peer is installed into an environment of its own below `.bench/`, with the versions
in `requirements/peers/`, and runs the same models by the same ONNX Runtime with as many
threads. One visit to a peer measures it and blindai in turn; a ratio is of one visit.
"""
