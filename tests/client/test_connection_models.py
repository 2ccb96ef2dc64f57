"""Models come, are replaced and go, against a whole enclave."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

import blindai
from blindai.errors import (
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    ModelRefusedError,
    NotFoundError,
)
from blindai.testing import SimulatedEnclave

ONES = np.ones(3, np.float32)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_uploaded_under_its_own_name(
    client: blindai.Connection,
    identity: Callable[..., bytes],
    tmp_path: Path,
    name: str,
    kind: Callable[[Path], str | Path],
) -> None:
    path = tmp_path / f"{name}.onnx"
    path.write_bytes(identity())
    uploaded = client.upload_model(kind(path))
    assert (uploaded.model_name, uploaded.model_id) == (name, name)
    assert uploaded.digest == hashlib.sha256(identity()).hexdigest()
    assert [each.name for each in uploaded.inputs + uploaded.outputs] == ["x", "y"]


def test_a_model_in_memory_is_uploaded(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    client.upload_model(onnx.load_from_string(identity()), model_name=name)
    assert name in {each.name for each in client.models()}


def test_a_model_without_a_name_is_refused(
    client: blindai.Connection, identity: Callable[..., bytes]
) -> None:
    with pytest.raises(ConfigurationError, match="model_name: expected a name"):
        client.upload_model(identity())


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_a_file_that_is_no_model_is_refused_by_the_enclave(
    client: blindai.Connection, name: str, content: bytes
) -> None:
    with pytest.raises(ModelRefusedError):
        client.upload_model(content, name)


def test_an_upload_reports_its_progress(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    seen: list[tuple[int, int]] = []
    client.upload_model(identity(), name, progress=lambda *sizes: seen.append(sizes))
    assert seen == [(len(identity()), len(identity()))]


def test_the_owner_may_replace_and_delete_within_a_connection(
    client: blindai.Connection,
    identity: Callable[..., bytes],
    arithmetic: bytes,
    name: str,
) -> None:
    first = client.upload_model(identity(), name)
    second = client.upload_model(arithmetic, name)
    assert first.owner_token == second.owner_token
    client.delete_model(name)
    with pytest.raises(NotFoundError):
        client.predict(name, ONES)


def test_a_model_that_was_deleted_takes_its_owners_token_along(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    before = client.upload_model(identity(), name)
    client.delete_model(name)
    after = client.upload_model(identity(), name)
    assert before.owner_token != after.owner_token


def test_the_owners_token_deletes_from_another_connection(
    enclave: SimulatedEnclave,
    client: blindai.Connection,
    identity: Callable[..., bytes],
    name: str,
) -> None:
    uploaded = client.upload_model(identity(), name)
    with enclave.connect() as other:
        other.delete_model(name, owner_token=uploaded.owner_token)
    assert name not in {each.name for each in client.models()}


def test_nobody_else_deletes_a_model(enclave: SimulatedEnclave, model: str) -> None:
    with enclave.connect() as other, pytest.raises(ForbiddenError):
        other.delete_model(model)


def test_nobody_else_replaces_a_model(
    enclave: SimulatedEnclave, arithmetic: bytes, model: str
) -> None:
    with enclave.connect() as other, pytest.raises(ConflictError):
        other.upload_model(arithmetic, model)


def test_an_owners_token_is_not_in_the_repr(
    client: blindai.Connection, identity: Callable[..., bytes], name: str
) -> None:
    uploaded = client.upload_model(identity(), name)
    assert str(uploaded.owner_token) not in repr(uploaded)
