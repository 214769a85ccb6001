"""What to do about each fault of Slack's: by its code, or by why Slack was not reached. The only table of this kind.

The codes are those of Slack's method pages [doc: docs.slack.dev/reference/methods/auth.test, apps.connections.open,
usergroups.users.list, chat.postMessage, conversations.history].
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import aiohttp

from bot.errors import HvopsError
from bot.transport.connection_reasons import chain

About = Literal["bot", "app"]
RATE_LIMITED = "ratelimited"  # Slack's word for a call too many; it says nothing of the token
AGAIN = "Try again in a minute."

_COPY: Mapping[str, str] = MappingProxyType(
    {
        "bot": "Copy bot_token from the app's OAuth & Permissions page.",
        "app": "Copy app_token from App-Level Tokens on the app's Basic Information page.",
    }
)
_SCOPE: Mapping[str, str] = MappingProxyType(
    {
        "bot": "Add it under OAuth & Permissions (deploy/slack.yaml has them all) and reinstall the app.",
        "app": "Create an app-level token with the connections:write scope.",
    }
)
_NETWORK_LIMIT = (
    "A Slack administrator limits which networks may call it: have this machine's address allowed for the app."
)
_ADMINISTRATOR = "An administrator of the workspace or organization has to allow the app."
_CODES: Mapping[str, str] = MappingProxyType(
    {
        "invalid_auth": "The token is not valid: mistyped, truncated, or replaced by a newer one. {copy}",
        "not_authed": "Slack received no token. {copy}",
        "token_revoked": "The token was revoked. Reinstall the app if it was removed. {copy}",
        "token_expired": "The token has expired: turn token rotation off for the app. {copy}",
        "account_inactive": "The app was removed from the workspace, or the workspace is gone. Reinstall the app. {copy}",
        "not_allowed_token_type": "This is the wrong kind of token: bot_token begins with xoxb-, app_token with xapp-. {copy}",
        "missing_scope": "{scope}",
        "no_permission": "{scope}",
        "accesslimited": _NETWORK_LIMIT,
        "access_denied": _ADMINISTRATOR,
        "ekm_access_denied": _ADMINISTRATOR,
        "team_access_not_granted": _ADMINISTRATOR,
        "enterprise_is_restricted": _ADMINISTRATOR,
        "org_login_required": "The workspace is being moved into an organization: wait until that is done.",
        "no_such_subteam": "No user group has this id. Put the id (S0…) of an existing one into [roles].",
        "plan_upgrade_required": "User groups need a paid Slack plan. Name people instead: [roles.*] users = ['U0…'].",
        "not_in_channel": "Invite the bot to that channel: /invite @hvops.",
        "channel_not_found": "Correct the channel's id (C0…), or invite the bot there: /invite @hvops.",
        "is_archived": "That channel is archived. Name another one.",
        RATE_LIMITED: AGAIN,
        "rate_limited": AGAIN,
    }
)
# A proxy first: its errors are those of a connection too.
_NETWORK: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError),
        "The proxy blocks it. Check the service's HTTPS_PROXY, and what the proxy allows.",
    ),
    (
        (aiohttp.ClientConnectorDNSError, socket.gaierror),
        "The name does not resolve. Check this machine's DNS servers, or set HTTPS_PROXY.",
    ),
    (
        (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError),
        "Its certificate is not trusted. Check this machine's clock, or trust the CA of a proxy that inspects TLS.",
    ),
    (
        (aiohttp.ClientSSLError, ssl.SSLError),
        "The TLS handshake failed. Check for a firewall or proxy in between that inspects TLS.",
    ),
    (
        (TimeoutError, aiohttp.ServerTimeoutError),
        "Nothing answered in time. Allow https (port 443) to slack.com from this machine, or set HTTPS_PROXY.",
    ),
    ((aiohttp.ClientError, OSError), "Allow https (port 443) to slack.com from this machine, or set HTTPS_PROXY."),
)
_OWN_TROUBLE = ("internal_error", "fatal_error", "service_unavailable", "HTTP 5")


def remedy(error: BaseException, about: About = "bot") -> str:
    """What to do about a fault of Slack's, in a sentence or two; "" where nobody knows.

    Args:
        error: NotSent, with what it was raised from.
        about: which token the call was made with.
    """
    code = str(getattr(error, "code", ""))
    if code in _CODES:
        return _CODES[code].format(copy=_COPY[about], scope=_SCOPE[about])
    if any(one in code for one in _OWN_TROUBLE):
        return f"Slack itself is having trouble: see https://slack-status.com. {AGAIN}"
    return next((says for one in chain(error) for kinds, says in _NETWORK if isinstance(one, kinds)), "")


def is_passing(error: HvopsError) -> bool:
    """Whether it says nothing of settings or network: Slack is busy, or has trouble of its own."""
    code = str(getattr(error, "code", ""))
    return code in (RATE_LIMITED, "rate_limited") or any(one in code for one in _OWN_TROUBLE)
