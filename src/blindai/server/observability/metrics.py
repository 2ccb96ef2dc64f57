"""Figures for Prometheus: how much, how long, how often; never what or whose.

Labels are words of closed sets (routes, classes of status, kinds of problems) and
opaque ids (`opaque`), so there is a bounded number of series and none names a model, a
tenant or anything that was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily

from blindai import __version__
from blindai.endorsements.expiry import earliest
from blindai.errors import EvidenceError
from blindai.server.observability.opaque import OpaqueIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta

    from prometheus_client.metrics_core import Metric

    from blindai.inference.service import InferenceService
    from blindai.protocol.attestation import Endorsement
    from blindai.server.enclave import Enclave
    from blindai.server.observability.record import Record

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
MAX_TENANTS: Final = 64
MAX_MODELS: Final = 64
_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
    *(5.0, 10.0, 30.0, 60.0, 300.0),
)
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128)


class _Counters(NamedTuple):
    """What is added to as things happen."""

    requests: Counter
    errors: Counter
    uploads: Counter
    tenants: Counter
    restarts: Counter
    request_s: Histogram
    queue_s: Histogram
    inference_s: Histogram
    batch: Histogram


class Metrics:
    """The figures of one server. An `inference.observer.Observer`."""

    def __init__(self) -> None:
        """Count from nothing."""
        # Their moments would tell when each was first seen.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # has no types
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._counters = _counters(self._registry)
        self._tenants = OpaqueIds(MAX_TENANTS)
        self._models = OpaqueIds(MAX_MODELS)

    def watch(
        self,
        service: InferenceService,
        enclave: Enclave,
        clock: Callable[[], datetime],
    ) -> None:
        """Look at these whenever figures are asked for.

        Args:
            service: Whose queues and models to count.
            enclave: Whose evidence, endorsements and keys to look at.
            clock: The host's clock, aware, in UTC.
        """
        self._registry.register(_States(service, enclave, clock))

    def encode(self) -> bytes:
        """All figures in Prometheus' text format, of type `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def finished(self, record: Record) -> None:
        """Count a request that has ended."""
        counters = self._counters
        counters.requests.labels(record.route, record.status).inc()
        counters.request_s.labels(record.route).observe(record.seconds)
        if record.problem:
            counters.errors.labels(record.problem).inc()
        if record.route == "upload":
            taken = record.inner_status == 201
            counters.uploads.labels("accepted" if taken else "refused").inc()
        if record.tenant:
            counters.tenants.labels(self._tenants.of(record.tenant)).inc()

    def waited(self, seconds: float) -> None:
        """A request left its queue."""
        self._counters.queue_s.observe(seconds)

    def ran(self, model: str, requests: int, seconds: float) -> None:
        """A model ran for so many requests at once."""
        self._counters.inference_s.labels(self._models.of(model)).observe(seconds)
        self._counters.batch.observe(requests)

    def restarted(self) -> None:
        """A worker was replaced."""
        self._counters.restarts.inc()


class _States:
    """What is looked at when figures are asked for."""

    def __init__(
        self,
        service: InferenceService,
        enclave: Enclave,
        clock: Callable[[], datetime],
    ) -> None:
        self._service = service
        self._enclave = enclave
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Each state as a family of its own."""
        yield _gauge("build", "Which release runs.", {__version__: 1}, "version")
        yield _gauge(
            "queue_length",
            "Requests that wait, for all models together.",
            {"": self._service.waiting},
        )
        yield _gauge(
            "models_loaded",
            "Models in memory, each version for itself.",
            {"": self._service.loaded},
        )
        standing, now = self._enclave.standing(), self._clock()
        yield _gauge(
            "keyset_expiry_days",
            "Until clients stop sealing to the current keys.",
            {"": _days(standing.keys_until - now)},
        )
        age_s = standing.evidence_age_s
        yield _gauge(
            "evidence_age_seconds",
            "Of the evidence without a nonce that is in memory.",
            {} if age_s is None else {"": age_s},
        )
        yield _gauge(
            "endorsement_expiry_days",
            "Until a stapled endorsement expires; by its place in the evidence.",
            {
                str(place): _days(until - now)
                for place, each in enumerate(standing.endorsements)
                if (until := _readable(each)) is not None
            },
            "place",
        )


def _readable(endorsement: Endorsement) -> datetime | None:
    """When it expires; None if it does not say so in a way that is known here."""
    try:
        return earliest([endorsement])
    except EvidenceError:
        return None


def _days(left: timedelta) -> float:
    return left.total_seconds() / 86400


def _gauge(
    name: str, about: str, values: dict[str, float], label: str | None = None
) -> Metric:
    labels = [] if label is None else [label]
    family = GaugeMetricFamily(f"blindai_{name}", about, labels=labels)
    for value, number in values.items():
        family.add_metric([value] if labels else [], number)
    return family


def _counters(registry: CollectorRegistry) -> _Counters:
    def counter(name: str, about: str, *labels: str) -> Counter:
        return Counter(f"blindai_{name}", about, labels, registry=registry)

    def seconds(name: str, about: str, *labels: str) -> Histogram:
        return Histogram(
            f"blindai_{name}_seconds",
            about,
            labels,
            buckets=_SECONDS,
            registry=registry,
        )

    return _Counters(
        requests=counter("requests", "Requests that ended.", "route", "status"),
        errors=counter("errors", "Problems inside the seal, by kind.", "kind"),
        uploads=counter("uploads", "Uploads of models.", "outcome"),
        tenants=counter(
            "tenant_requests", "Requests of holders of API keys.", "tenant"
        ),
        restarts=counter("worker_restarts", "Workers that were replaced."),
        request_s=seconds("request", "Whole requests.", "route"),
        queue_s=seconds("queue", "Time in the queue."),
        inference_s=seconds("inference", "Runs of a model.", "model"),
        batch=Histogram(
            "blindai_batch_requests",
            "Requests in one run.",
            buckets=_BATCHES,
            registry=registry,
        ),
    )
