"""Rate limits of the Web API.

Tiers are per method, workspace and app: tier 1 about 1 call a minute, 2: 20, 3: 50, 4: 100
(docs.slack.dev/apis/web-api/rate-limits). chat.postMessage has its own: one a second and channel with short bursts, and
several hundred a minute and workspace. How long a burst may be is not documented: here it is five messages, and for
tier 1 ten calls, since an app may hold ten Socket Mode connections and has to be able to open them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from lab.slack.clock import Clock
from lab.slack.model import Refusal

POST_BURST = 5
POSTS_PER_MINUTE = 300
TIER_1_BURST = 10


@dataclass
class Bucket:
    """Fills with `per_second` up to `size`; every call takes one."""

    size: float
    per_second: float
    level: float
    at: float

    def take(self, now: float) -> float:
        """Take one; returns 0, or how many seconds until there is one again."""
        self.level = min(self.size, self.level + (now - self.at) * self.per_second)
        self.at = now
        if self.level >= 1:
            self.level -= 1
            return 0.0
        return (1 - self.level) / self.per_second


@dataclass
class Rates:
    """Counts calls; `strict` False lets everything through.

    Attributes:
        refused: how many calls were answered with 429, for tests and for the measuring of outboxes.
    """

    clock: Clock
    strict: bool = True
    refused: int = 0
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    def count(self, method: str, tier: int) -> None:
        """One call of a tiered method.

        Args:
            method: Slack's name of it.
            tier: 1 to 4; 0 for methods without a published limit.

        Raises:
            Refusal: HTTP 429 with Retry-After.
        """
        per_minute = {1: 1, 2: 20, 3: 50, 4: 100}.get(tier)
        if per_minute is not None:
            self._take(method, TIER_1_BURST if tier == 1 else per_minute, per_minute / 60)

    def count_post(self, channel: str) -> None:
        """One chat.postMessage into a channel.

        Raises:
            Refusal: HTTP 429 with Retry-After.
        """
        self._take("posts of the workspace", POSTS_PER_MINUTE, POSTS_PER_MINUTE / 60)
        self._take(f"posts in {channel}", POST_BURST, 1.0)

    def forget(self) -> None:
        """Begin anew, as if nothing had been called yet."""
        self._buckets.clear()

    def _take(self, key: str, size: float, per_second: float) -> None:
        if not self.strict:
            return
        now = self.clock.now()
        bucket = self._buckets.setdefault(key, Bucket(size, per_second, size, now))
        wait = bucket.take(now)
        if wait:
            self.refused += 1
            raise ratelimited(wait)


def ratelimited(seconds: float) -> Refusal:
    """The answer to one call too many."""
    return Refusal("ratelimited", status=429, headers={"Retry-After": str(max(1, math.ceil(seconds)))})
