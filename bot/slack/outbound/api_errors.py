"""What became of one call to Slack: sent, to be sent again, refused, or not known. Foreign errors end here.

The SDK's own retries are off everywhere (`retry_handlers=[]`): they repeat a post whose answer was lost, and
Slack has no key that would make the second one harmless [m: one server saw the message twice].
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import HvopsError
from bot.slack.outbound.bounded_client import BoundedWebClient, ReplyTooLarge

# Slack warns that with the first two a part of the call may have been done already [doc: errors of any method]; of the
# third nobody says that it was not
_HALF_DONE = ("internal_error", "fatal_error", "service_unavailable")
_LATER = ("ratelimited", "rate_limited", "team_added_to_org")
_OK, _REQUEST_TIMEOUT, _TOO_MANY, _SERVER = 200, 408, 429, 500
LONGEST_REST = 60.0  # seconds that hvops waits because Slack asks for it
_SHORTEST_REST = 1.0
OUTAGE = ("gave_up", "later", "closing")  # codes of NotSent that are no answer of Slack's: it was not reached in time


class NotSent(HvopsError):
    """Slack refuses, or cannot be reached. The person has certainly not seen it.

    Attributes:
        code: Slack's own word for it: "channel_not_found".
    """

    def __init__(self, code: str, says: str = "") -> None:
        super().__init__(says or f"Slack refused: {code}.")
        self.code = code

    @property
    def is_refusal(self) -> bool:
        """Whether Slack said no. Otherwise it was not reached in time."""
        return self.code not in OUTAGE


class PartMissing(NotSent):
    """A message was taken, and what belongs to it was not."""

    def __init__(self, says: str) -> None:
        super().__init__("gave_up", says)


class DeliveryUnknown(HvopsError):
    """The connection died after sending: perhaps the person sees it, perhaps not. It is not sent again blindly.

    Attributes:
        unreadable: Slack's word for why nobody can look whether it arrived, or "".
        was_sent: whether this process sent it. Otherwise an earlier one may have, or nobody.
    """

    def __init__(self, says: str, unreadable: str = "", *, was_sent: bool = True) -> None:
        super().__init__(says)
        self.unreadable = unreadable
        self.was_sent = was_sent


@dataclass(frozen=True, slots=True)
class Retry:
    """It was not taken now; trying again is safe.

    Attributes:
        after: seconds that Slack asks for, a minute at most; None where it does not say.
    """

    after: float | None
    why: str


def make_client(token: str | None, base_url: str, timeout: int = 15) -> AsyncWebClient:
    """A Web API client that never repeats a call by itself, and whose replies are bounded."""
    return BoundedWebClient(token=token, base_url=base_url, timeout=timeout, retry_handlers=[])


def classify_error(error: BaseException, *, idempotent: bool) -> Retry | NotSent | DeliveryUnknown:
    """What an error of the SDK means.

    Args:
        error: what the SDK raised.
        idempotent: whether doing it twice is the same as once (an update; not a post).
    """
    if isinstance(error, (NotSent, DeliveryUnknown)):
        return error
    if isinstance(error, SlackApiError):
        return _answered(error, idempotent=idempotent)
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return Retry(None, "Slack cannot be reached")  # no connection, so nothing was sent
    if isinstance(error, (aiohttp.InvalidURL, SlackClientError)):
        return NotSent(type(error).__name__)
    if isinstance(error, (aiohttp.ClientError, OSError, asyncio.TimeoutError)):
        is_large = isinstance(error, ReplyTooLarge)
        why = "its answer is too large to be read" if is_large else f"the connection died: {type(error).__name__}"
        return _lost(why, idempotent=idempotent)
    says = f"Slack's answer cannot be read: {type(error).__name__}"
    return NotSent(type(error).__name__, f"{says}.") if idempotent else _lost(says, idempotent=False)


def _answered(error: SlackApiError, *, idempotent: bool) -> Retry | NotSent | DeliveryUnknown:
    response: Any = error.response
    status = getattr(response, "status_code", None) or getattr(response, "status", None) or 0
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, Mapping) else ""
    if status == _TOO_MANY or code in _LATER:
        return Retry(retry_after(getattr(response, "headers", {})), code or f"HTTP {status}")
    if status >= _SERVER or status == _REQUEST_TIMEOUT or code in _HALF_DONE:
        # whoever answered, the work may have been done before: a gateway's 504 says nothing else
        return _lost(f"Slack answered {code or f'HTTP {status}'}", idempotent=idempotent, after=_after(response))
    if not code and status == _OK:
        return _lost("Slack's answer cannot be read", idempotent=idempotent)
    return NotSent(code or f"HTTP {status}")


def _after(response: Any) -> float | None:
    return retry_after(getattr(response, "headers", None) or {})


def retry_after(headers: Mapping[str, Any]) -> float | None:
    """The seconds of a Retry-After header, from one to sixty; None where there is none that can be read.

    Slack asks for no more than a minute. Whoever answers in its place, or a proxy, could otherwise silence hvops for days, or
    have it ask without a pause.
    """
    try:
        told = float(headers.get("Retry-After") or headers.get("retry-after") or "")
    except ValueError:  # also a date, which Slack never sends
        return None
    return None if math.isnan(told) else min(max(told, _SHORTEST_REST), LONGEST_REST)


def _lost(why: str, *, idempotent: bool, after: float | None = None) -> Retry | DeliveryUnknown:
    return Retry(after, why) if idempotent else DeliveryUnknown(f"It may or may not have reached Slack: {why}.")
