"""Which app a bot token belongs to, and what it may do; for `hvops doctor`. Calls that change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.outbound.api_errors import DeliveryUnknown, NotSent, classify_error, make_client


@dataclass(frozen=True, slots=True)
class Account:
    """What Slack says about a token.

    Attributes:
        scopes: of the header `x-oauth-scopes`; None where Slack did not send it.
    """

    team: str
    user: str
    scopes: frozenset[str] | None


async def account(token: str, base_url: str) -> Account:
    """Ask `auth.test`. Raises NotSent or DeliveryUnknown."""
    answer = await _call(make_client(token, base_url), "auth.test")
    header = answer.headers.get("x-oauth-scopes") or answer.headers.get("X-OAuth-Scopes")
    scopes = frozenset(scope.strip() for scope in header.split(",")) if header else None
    return Account(str(answer.get("team")), str(answer.get("user")), scopes)


async def can_connect(app_token: str, base_url: str) -> None:
    """Ask for a Socket Mode address, and use it for nothing: the token's only scope is connections:write. Raises."""
    await _call(make_client(app_token, base_url), "apps.connections.open")


async def members(token: str, base_url: str, group: str) -> frozenset[str]:
    """The ids of the members of a user group. Raises NotSent or DeliveryUnknown."""
    answer = await _call(make_client(token, base_url), "usergroups.users.list", {"usergroup": group})
    return frozenset(str(one) for one in answer.get("users") or ())


async def _call(client: AsyncWebClient, method: str, told: Mapping[str, str] | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the SDK's own
    try:
        return await client.api_call(method, params=dict(told or {}))
    except Exception as error:
        fate = classify_error(error, idempotent=True)
        raise (fate if isinstance(fate, (NotSent, DeliveryUnknown)) else NotSent(fate.why, f"{fate.why}.")) from error
