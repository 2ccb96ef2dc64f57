"""What admitting a model may cost: known without the parser it is meant for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """What admitting a model may cost, and what it may be.

    Attributes:
        max_nodes: Nodes, those of subgraphs too, with every function written out at
            each of its calls.
        max_initializers: Initializers, those of subgraphs too.
        max_outline_bytes: The file without the data of tensors. In memory it takes up
            to some forty times as much.
        max_messages: Protobuf messages and fields that are looked at.
        max_tensor_bytes: A tensor that is declared, or inferred from what is; sparse
            initializers together, written out.
        extensions: Whether operators of onnxruntime-extensions are admitted.
        own_process: Whether the model will have a process of its own, which an operator
            may then end.
        infer: Whether sizes are inferred from what is declared: by native code, which a
            hostile file can crash, so only where that ends nothing but a judgement.
    """

    max_nodes: int = 100_000
    max_initializers: int = 100_000
    max_outline_bytes: int = 32 << 20
    max_messages: int = 2_000_000
    max_tensor_bytes: int = 4 << 30
    extensions: bool = False
    own_process: bool = True
    infer: bool = True
