"""Looks into a service, at what no request shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blindai.inference.service import InferenceService
    from blindai.inference.serving import Served


def served(service: InferenceService, name: str) -> Served:
    """What runs the latest version of a model."""
    found = service._store.find(name).served
    assert found is not None
    return found
