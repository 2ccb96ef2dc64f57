"""Writes models that take what people have (images, sound, text) and say what it is.

Blocks around a model make one ONNX graph, so that a client sends the bytes of a file
and the enclave decodes, scales, runs and names. Only whoever prepares a model needs
this package: neither client nor server imports it.

    image      decode, resize, crop, letterbox, normalise
    audio      WAV, resampling; spectrum: log-mel
    text       normalise, WordPiece, BPE
    labels     softmax, the best and their names
    boxes      decode, non-maximum suppression
    sequences  CTC, tokens to text
"""

from blindai.pipelines.graph import Value
from blindai.pipelines.pipeline import Pipeline

__all__ = ["Pipeline", "Value"]
