"""An owner token makes another connection the owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from blindai.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

    from blindai.client.connection import Connection
    from blindai.testing import SimulatedEnclave


def test_a_model_is_replaced_from_another_connection_with_its_token(
    client: Connection,
    enclave: SimulatedEnclave,
    name: str,
    identity: Callable[..., bytes],
) -> None:
    token = client.upload_model(identity(), name).owner_token

    with enclave.connect() as other:
        with pytest.raises(ConflictError):
            other.upload_model(identity(), name)
        again = other.upload_model(identity(), name, owner_token=token)

    assert again.owner_token == token
