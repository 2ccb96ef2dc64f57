"""The requests that wait for one model: bounded, by tenant, ready to go in batches."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blindai.errors import OverloadedError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from blindai.inference.batches import Request
    from blindai.inference.isolation import Outcome

ANONYMOUS = ""
"""The tenant of all who have no API key: nobody knows who is whom among them."""
_LATELY = 8
"""Jobs whose time counts when the next one's is guessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """How requests for a model go together.

    Attributes:
        max_rows: Rows in a batch; 1 for no batches.
        max_delay_s: How long the first request waits for more, in seconds.
        across_tenants: Whether requests of different tenants may go together: their
            rows can then be read by whoever finds the model mixing them.
    """

    max_rows: int = 1
    max_delay_s: float = 0.0
    across_tenants: bool = False


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way.

    Attributes:
        request: What it asks.
        tenant: Whose it is.
        future: Its outcome.
        deadline: When nobody waits for it any more, by `time.monotonic`.
        arrived: When it came, by `time.monotonic`.
        alone: Whether it must not go with others, as it did not do well with them.
    """

    request: Request
    tenant: str
    future: asyncio.Future[Outcome]
    deadline: float
    arrived: float
    alone: bool = False


class Queue:
    """Jobs for one model.

    Args:
        limit: Jobs that may wait.
        batching: How they go together; None where the model takes one at a time.

    Attributes:
        expected_s: How long a job takes by itself, as lately seen, in seconds.
    """

    def __init__(self, limit: int, batching: Batching | None) -> None:
        self._limit = limit
        self._batching = batching
        self._by_tenant: dict[str, deque[Job]] = {}
        self._size = 0
        self.expected_s = 0.0

    def __len__(self) -> int:
        """Jobs that wait."""
        return self._size

    @property
    def tenants(self) -> list[str]:
        """Whose jobs wait."""
        return list(self._by_tenant)

    def add(self, job: Job) -> Job | None:
        """Let a job wait.

        Returns:
            The job that had to make way: where the queue is full, the newest one of the
            tenant with the most, if that is somebody else with more than this one.

        Raises:
            OverloadedError: If the queue is full, and nobody has to make way.
        """
        displaced = None
        if self._size >= self._limit:
            largest = max(self._by_tenant.values(), key=len)
            mine = len(self._by_tenant.get(job.tenant, ()))
            if len(largest) <= mine + 1:
                raise self.full()
            displaced = largest[-1]
            self.remove(displaced)
        self._by_tenant.setdefault(job.tenant, deque()).append(job)
        self._size += 1
        return displaced

    def put_back(self, job: Job) -> None:
        """Let a job wait at the front, as it was out already; there is always room."""
        self._by_tenant.setdefault(job.tenant, deque()).appendleft(job)
        self._size += 1

    def remove(self, job: Job) -> None:
        """Take a job out, if it is there."""
        jobs = self._by_tenant.get(job.tenant)
        if jobs is None or job not in jobs:
            return
        jobs.remove(job)
        self._size -= 1
        if not jobs:
            del self._by_tenant[job.tenant]

    def clear(self) -> list[Job]:
        """Take all jobs out."""
        jobs = [job for each in self._by_tenant.values() for job in each]
        self._by_tenant.clear()
        self._size = 0
        return jobs

    def learn(self, seconds: float) -> None:
        """Note how long a job took: an average of the last few counts."""
        self.expected_s += (seconds - self.expected_s) / _LATELY

    def batch(self, tenant: str, now: float) -> tuple[list[Job], float]:
        """The oldest job of a tenant, and those that may go with it; they stay here.

        Returns:
            The jobs, and for how many more seconds it is worth to wait for others.
        """
        first = self._by_tenant[tenant][0]
        batching = self._batching
        alone = first.tenant == ANONYMOUS and batching and not batching.across_tenants
        if batching is None or first.alone or alone:
            return [first], 0.0
        jobs, rows = [first], first.request.rows
        for job in self._companions(first, batching):
            if rows + job.request.rows > batching.max_rows:
                return jobs, 0.0
            jobs.append(job)
            rows += job.request.rows
        if rows >= batching.max_rows:
            return jobs, 0.0
        # Who has little time waits for a part of it only.
        until = min((job.arrived + job.deadline) / 2 for job in jobs)
        return jobs, min(first.arrived + batching.max_delay_s, until) - now

    def full(self) -> OverloadedError:
        """What the job is told for which there is no room."""
        return OverloadedError(
            f"queue: expected at most {self._limit} requests waiting, got more"
        )

    def _companions(self, first: Job, batching: Batching) -> Iterator[Job]:
        if batching.across_tenants:
            others = [job for jobs in self._by_tenant.values() for job in jobs]
            others.sort(key=lambda job: job.arrived)
        else:
            others = list(self._by_tenant[first.tenant])
        alike = first.request.alike
        for job in others:
            if job is not first and not job.alone and job.request.alike == alike:
                yield job
