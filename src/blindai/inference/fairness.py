"""Who is next among tenants: each gets time by its weight.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-Time Fair Queuing", SIGCOMM 1996)
over seconds: a tenant's clock moves by what its runs take, divided by its weight, and
the tenant furthest behind is next. What a run will take is guessed as it begins, so
that runs that have not ended count, and put right when it has ended. Who comes back
from a pause starts where the others are, so no time is saved up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(slots=True)
class Using:
    """What runs of a tenant.

    Attributes:
        runs: How many; parts, where a run is also others'.
        more_s: By how many seconds they have taken more than was charged for them.
    """

    runs: float = 0.0
    more_s: float = 0.0

    def add(self, runs: float, more_s: float) -> None:
        """Count a run, or a part of one."""
        self.runs += runs
        self.more_s += more_s


class Shares:
    """The clocks of tenants.

    Args:
        weights: Of tenants by name; of everybody else it is 1.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._clocks: dict[str, float] = {}
        self._now = 0.0

    def first(self, tenants: Collection[str]) -> str:
        """Who is next among those who wait; of equals, who stands first."""
        chosen = min(tenants, key=self._clock)
        self._now = self._clock(chosen)
        return chosen

    def charge(self, tenant: str, seconds: float) -> None:
        """Note what a run of a tenant's takes; negative seconds give some back."""
        self._clocks[tenant] = self._clock(tenant) + seconds / self._weight(tenant)

    def until_behind_s(
        self, tenant: str, using: Mapping[str, Using], behind_s: float
    ) -> float:
        """How long until a tenant is so far behind all who use something.

        Args:
            tenant: One that uses nothing.
            using: What runs, by tenant; something does.
            behind_s: How far, in seconds of a tenant of weight 1.
        """
        until = self._clock(tenant) + behind_s
        return max(
            ((until - self._clock(name)) * self._weight(name) - use.more_s) / use.runs
            for name, use in using.items()
        )

    def _weight(self, tenant: str) -> float:
        return self._weights.get(tenant, 1.0)

    def _clock(self, tenant: str) -> float:
        return max(self._clocks.get(tenant, 0.0), self._now)
