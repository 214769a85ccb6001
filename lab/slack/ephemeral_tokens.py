"""Things that Slack hands out to be used within a time: socket tickets, trigger ids, response URLs, upload URLs.

Numbers: a trigger id lives 3 seconds and is good for one use; a response URL takes 5 messages within 30 minutes
(docs.slack.dev/interactivity/handling-user-interaction). A socket ticket is good for one connection.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TypeVar

from lab.slack.clock import Clock
from lab.slack.model import Refusal

TRIGGER_SECONDS = 3.0
HOOK_SECONDS = 30 * 60.0
HOOK_USES = 5
TICKET_SECONDS = 30.0
FORGOTTEN_SECONDS = 2 * 60 * 60.0


@dataclass
class Trigger:
    """What stands behind a trigger id."""

    user: str
    at: float
    used: bool = False
    from_view: str | None = None


@dataclass
class Hook:
    """What stands behind a response URL.

    Attributes:
        user: who typed or clicked.
        channel: where.
        thread_ts: the thread of the message that was clicked.
        original: ts of the message that was clicked; None for a slash command, which has no original to replace.
        typed: the command line, shown with the first answer that is for the whole channel.
    """

    user: str
    channel: str
    at: float
    thread_ts: str | None = None
    original: str | None = None
    typed: str = ""
    uses: int = 0


Dated = TypeVar("Dated", Trigger, Hook)


@dataclass
class Upload:
    """A file that was announced and perhaps already sent."""

    file_id: str
    name: str
    length: int
    data: bytes | None = None


@dataclass
class TokenStore:
    """Everything handed out and not yet gone."""

    clock: Clock
    triggers: dict[str, Trigger] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    tickets: dict[str, float] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def trigger(self, user: str, from_view: str | None = None) -> str:
        """A new trigger id for what this person just did."""
        self._forget()
        identity = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self.triggers[identity] = Trigger(user, self.clock.now(), from_view=from_view)
        return identity

    def exchange(self, identity: str) -> Trigger:
        """Use a trigger id up.

        Raises:
            Refusal: invalid_trigger_id, expired_trigger_id or exchanged_trigger_id, the words of views.open's page.
        """
        trigger = self.triggers.get(identity)
        if trigger is None:
            raise Refusal("invalid_trigger_id")
        if self.clock.now() - trigger.at > TRIGGER_SECONDS:
            raise Refusal("expired_trigger_id")
        if trigger.used:
            raise Refusal("exchanged_trigger_id")
        trigger.used = True
        return trigger

    def hook(self, hook: Hook) -> str:
        """The last part of a new response URL."""
        token = secrets.token_hex(12)
        self.hooks[token] = hook
        return token

    def use_hook(self, token: str) -> Hook:
        """Count one use.

        Raises:
            Refusal: HTTP 404: no such URL, older than 30 minutes, or used five times.
        """
        hook = self.hooks.get(token)
        if hook is None:
            raise Refusal("no_such_url", status=404)
        if self.clock.now() - hook.at > HOOK_SECONDS:
            raise Refusal("expired_url", status=404)
        if hook.uses >= HOOK_USES:
            raise Refusal("used_url", status=404)
        hook.uses += 1
        return hook

    def _forget(self) -> None:
        """Drop what nobody can use any more, long after Slack itself would say why."""
        limit = self.clock.now() - FORGOTTEN_SECONDS
        _drop_before(self.triggers, limit)
        _drop_before(self.hooks, limit)

    def ticket(self) -> str:
        """A ticket for one Socket Mode connection."""
        token = secrets.token_urlsafe(16)
        self.tickets[token] = self.clock.now()
        return token

    def revoke(self, token: str) -> bool:
        """Use a ticket up; False when it is unknown, used or stale."""
        issued = self.tickets.pop(token, None)
        return issued is not None and self.clock.now() - issued <= TICKET_SECONDS


def _drop_before(handed_out: dict[str, Dated], limit: float) -> None:
    # In order of age, so that the first young one ends the search.
    for identity, grant in list(handed_out.items()):
        if grant.at >= limit:
            return
        del handed_out[identity]
