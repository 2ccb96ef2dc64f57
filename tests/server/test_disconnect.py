"""A client that goes away takes its run along."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

import blindai
from blindai.protocol import tensors
from blindai.server.settings import InferenceSettings, Settings
from blindai.testing import SimulatedEnclave

ONE_WORKER = Settings(inference=InferenceSettings(workers=1))


@pytest.mark.filterwarnings("ignore::blindai.client.policies.SimulationWarning")
def test_a_run_ends_when_its_client_goes_away(add: bytes, endless: bytes) -> None:
    forever = tensors.Tensor.of("n", np.array(2**62, np.int64))
    asked = tensors.encode_request(
        tensors.InferRequest(inputs=(forever,), parameters={"timeout": 500_000_000})
    )
    content = b"".join(asked.buffers)
    path = "https://enclave/v2/models/endless/infer"
    length = {tensors.HEADER_LENGTH: str(asked.header_length)}

    with SimulatedEnclave(ONE_WORKER) as enclave, enclave.connect() as client:
        client.upload_model(add, "add")
        client.upload_model(endless, "endless")
        transport = blindai.SealedTransport(enclave.url, simulation=True)
        with (
            httpx.Client(transport=transport, timeout=0.5) as impatient,
            pytest.raises(httpx.ReadTimeout),
        ):
            impatient.post(path, content=content, headers=length)

        answer = client.predict("add", np.zeros((1, 2), np.float32), timeout=10)

    assert answer.output[0].as_flat() == [1, 2]
