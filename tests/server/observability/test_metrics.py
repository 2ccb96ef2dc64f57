"""Figures for Prometheus."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.inference.inside import served
from tests.server.conftest import V2, Clock, MakeEnclave, MakeV2

from blindai.inference.service import InferenceService, ServiceSettings
from blindai.protocol.attestation import Endorsement, Evidence
from blindai.protocol.keyset import Binding
from blindai.server.auth import digest
from blindai.server.observability.metrics import MAX_MODELS, MAX_TENANTS, Metrics
from blindai.server.observability.record import Record
from blindai.server.observability.recording import Recording
from blindai.server.settings import ApiKey, Settings

KEY = ApiKey(name="ward-7", sha256=digest("secret"), scopes=("infer",))


def figures(metrics: Metrics) -> dict[str, float]:
    """Each sample of ours, as `name{label="value"}`."""
    found = {}
    for family in text_string_to_metric_families(metrics.encode().decode()):
        for sample in family.samples:
            labels = ",".join(
                f'{key}="{sample.labels[key]}"' for key in sorted(sample.labels)
            )
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            found[name] = sample.value
    return found


def test_a_request_is_counted_by_route_and_class_of_status() -> None:
    metrics = Metrics()

    metrics.finished(Record("infer", inner_status=200, seconds=0.02))
    metrics.finished(Record("infer", inner_status=404, problem="not-found"))

    found = figures(metrics)
    assert found['blindai_requests_total{route="infer",status="2xx"}'] == 1
    assert found['blindai_requests_total{route="infer",status="4xx"}'] == 1
    assert found['blindai_errors_total{kind="not-found"}'] == 1
    assert found['blindai_request_seconds_count{route="infer"}'] == 2
    assert found['blindai_request_seconds_sum{route="infer"}'] == 0.02
    assert found['blindai_request_seconds_bucket{le="0.025",route="infer"}'] == 2
    assert not [name for name in found if "created" in name or "tenant=" in name]


@pytest.mark.parametrize(("status", "outcome"), [(201, "accepted"), (422, "refused")])
def test_an_upload_is_counted_by_its_outcome(status: int, outcome: str) -> None:
    metrics = Metrics()

    metrics.finished(Record("upload", inner_status=status))

    assert figures(metrics)[f'blindai_uploads_total{{outcome="{outcome}"}}'] == 1


def test_what_the_models_part_tells_is_shown() -> None:
    metrics = Metrics()

    metrics.waited(0.3)
    metrics.ran("a-secret", 4, 0.002)
    metrics.restarted()

    found = figures(metrics)
    assert found["blindai_queue_seconds_sum"] == 0.3
    assert found["blindai_batch_requests_sum"] == 4
    assert found["blindai_worker_restarts_total"] == 1
    (model,) = [
        name for name in found if name.startswith("blindai_inference_seconds_c")
    ]
    assert re.search(r'model="[0-9a-f]{8}"', model)
    assert b"a-secret" not in metrics.encode()


def test_tenants_and_models_are_opaque_and_bounded() -> None:
    metrics = Metrics()

    for number in range(MAX_TENANTS + 10):
        metrics.finished(Record("infer", inner_status=200, tenant=f"key:ward-{number}"))
    for number in range(MAX_MODELS + 10):
        metrics.ran(f"model-{number}", 1, 0.001)

    found = figures(metrics)
    tenants = [name for name in found if name.startswith("blindai_tenant_requests_t")]
    assert len(tenants) == MAX_TENANTS + 1
    assert found['blindai_tenant_requests_total{tenant="others"}'] == 10
    assert found['blindai_inference_seconds_count{model="others"}'] == 10
    assert b"ward" not in metrics.encode()
    assert b"model-" not in metrics.encode()


class Awkward:
    """Hardware whose endorsements cannot be read."""

    tee = "application/vnd.blindai.awkward"
    sealing = None

    def attest(self, _: Binding) -> Evidence:
        other = Endorsement("application/x-other", b"what is it")
        return Evidence(
            media_type=self.tee, evidence=b"evidence", endorsements=(other,)
        )

    def sealing_key(self) -> bytes | None:
        return None


@pytest.mark.anyio
async def test_models_at_rest_are_not_loaded(v2: V2, clock: Clock, add: bytes) -> None:
    metrics = Metrics()
    metrics.watch(v2.service, v2.enclave, clock)

    await v2.ask("PUT", "/v2/models/other", add)
    two = figures(metrics)["blindai_models_loaded"]
    await v2.service._engine.rest(served(v2.service, "other"))

    assert two == 2
    assert figures(metrics)["blindai_models_loaded"] == 1


@pytest.mark.anyio
async def test_states_are_looked_at_when_figures_are_asked_for(
    v2: V2, clock: Clock
) -> None:
    metrics = Metrics()
    metrics.watch(v2.service, v2.enclave, clock)
    before = figures(metrics)
    clock.now += timedelta(hours=12)

    await v2.enclave.evidence()

    found = figures(metrics)
    assert before["blindai_keyset_expiry_days"] == 1
    assert "blindai_evidence_age_seconds" not in before
    assert found["blindai_keyset_expiry_days"] == 0.5
    assert 0 <= found["blindai_evidence_age_seconds"] < 10
    assert found['blindai_endorsement_expiry_days{place="0"}'] > 100
    assert found["blindai_models_loaded"] == 1
    assert found["blindai_queue_length"] == 0
    assert any(name.startswith("blindai_build{version=") for name in found)


@pytest.mark.anyio
async def test_an_endorsement_that_does_not_say_when_it_ends_is_left_out(
    make_enclave: MakeEnclave, clock: Clock
) -> None:
    enclave, metrics = make_enclave(hardware=Awkward()), Metrics()
    metrics.watch(InferenceService(ServiceSettings()), enclave, clock)

    await enclave.evidence()

    assert not [name for name in figures(metrics) if "endorsement" in name]


@pytest.mark.anyio
async def test_requests_through_the_door_are_counted(make_v2: MakeV2) -> None:
    door = await make_v2(Settings(api_keys=(KEY,)))
    metrics = Metrics()
    door.gateway = Recording(door.gateway, [metrics.finished])
    key = ((b"authorization", b"Bearer secret"),)

    await door.ask("POST", "/v2/repository/index", b"", key)
    await door.ask("PUT", "/v2/models/mine", b"", key)

    found = figures(metrics)
    assert found['blindai_requests_total{route="index",status="2xx"}'] == 1
    assert found['blindai_errors_total{kind="forbidden"}'] == 1
    assert [value for name, value in found.items() if "{tenant=" in name] == [2]
