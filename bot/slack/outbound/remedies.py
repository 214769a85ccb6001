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
        "bot": "Copy bot_token from OAuth & Permissions of the app.",
        "app": "Copy app_token from Basic Information, App-Level Tokens, of the app.",
    }
)
_SCOPE: Mapping[str, str] = MappingProxyType(
    {
        "bot": "Add it under OAuth & Permissions (deploy/slack.yaml has them all) and reinstall the app.",
        "app": "Make an app-level token with the scope connections:write.",
    }
)
_NETWORK_LIMIT = (
    "An administrator of Slack limits the networks that may call it: allow this machine's address for the app."
)
_ADMINISTRATOR = "An administrator of the workspace or organization has to allow the app."
_CODES: Mapping[str, str] = MappingProxyType(
    {
        "invalid_auth": "The token is not valid: wrong, cut off, or replaced by a newer one. {copy}",
        "not_authed": "No token arrived at Slack. {copy}",
        "token_revoked": "The token was revoked. Reinstall the app if it was removed. {copy}",
        "token_expired": "The token has expired: turn token rotation off for the app. {copy}",
        "account_inactive": "The app was removed from the workspace, or the workspace is gone. Reinstall the app. {copy}",
        "not_allowed_token_type": "This is a token of the wrong kind: bot_token begins with xoxb-, app_token with xapp-. {copy}",
        "missing_scope": "{scope}",
        "no_permission": "{scope}",
        "accesslimited": _NETWORK_LIMIT,
        "access_denied": _ADMINISTRATOR,
        "ekm_access_denied": _ADMINISTRATOR,
        "team_access_not_granted": _ADMINISTRATOR,
        "enterprise_is_restricted": _ADMINISTRATOR,
        "org_login_required": "The workspace is being moved into an organization: wait until that is done.",
        "no_such_subteam": "No user group has this id. Write the id (S0…) of one that exists into [roles].",
        "plan_upgrade_required": "User groups need a paid plan of Slack. Name people instead: [roles.*] users = ['U0…'].",
        "not_in_channel": "Invite the bot in that channel: /invite @hvops.",
        "channel_not_found": "Correct the id of the channel (C0…), or invite the bot there: /invite @hvops.",
        "is_archived": "That channel is archived. Name another one.",
        RATE_LIMITED: AGAIN,
        "rate_limited": AGAIN,
    }
)
# A proxy first: its errors are those of a connection too.
_NETWORK: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError),
        "The proxy does not let it through. Check HTTPS_PROXY of the service, and what the proxy allows.",
    ),
    (
        (aiohttp.ClientConnectorDNSError, socket.gaierror),
        "Its name cannot be looked up. Check the DNS servers of this machine, or set HTTPS_PROXY.",
    ),
    (
        (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError),
        "Its certificate is not trusted. Check this machine's clock, or add the authority of a proxy that opens TLS.",
    ),
    (
        (aiohttp.ClientSSLError, ssl.SSLError),
        "No TLS connection could be made. Check what is between: a firewall or a proxy that opens TLS.",
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
        return f"That is trouble of Slack's own: see https://slack-status.com. {AGAIN}"
    return next((says for one in chain(error) for kinds, says in _NETWORK if isinstance(one, kinds)), "")


def is_passing(error: HvopsError) -> bool:
    """Whether it says nothing of settings or network: Slack is busy, or has trouble of its own."""
    code = str(getattr(error, "code", ""))
    return code in (RATE_LIMITED, "rate_limited") or any(one in code for one in _OWN_TROUBLE)
