"""A key for each site, which its bots and its workers hold: who wrote a task, who wrote a reply. Pure.

Tasks and replies are signed with different keys, both derived from the site's, so that no reply can be sent back as a task,
and nothing of one site counts at another.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class SiteKey:
    """What tasks and replies of one site are signed with."""

    _task: bytes
    _reply: bytes

    @classmethod
    def of(cls, site: str, key: bytes) -> SiteKey:
        """The two keys that are made of a site's."""
        name = site.lower()
        return cls(*(hmac.digest(key, f"hvops site {what}: {name}".encode(), "sha256") for what in ("task", "reply")))

    def sign_task(self, body: str) -> bytes:
        """The MAC of a task: 32 bytes."""
        return hmac.digest(self._task, body.encode(), "sha256")

    def sign_reply(self, body: str) -> bytes:
        """The MAC of a part of a reply: 32 bytes."""
        return hmac.digest(self._reply, body.encode(), "sha256")

    def is_task(self, body: str, mac: bytes) -> bool:
        """Whether a bot of this site's wrote it."""
        return hmac.compare_digest(self.sign_task(body), mac)

    def is_reply(self, body: str, mac: bytes) -> bool:
        """Whether a worker of this site's wrote it."""
        return hmac.compare_digest(self.sign_reply(body), mac)
