"""auth.test, api.test, apps.connections.open, bots.info: who the app is and how it gets a socket."""

from __future__ import annotations

from lab.slack.context import Call, Method
from lab.slack.model import APP, BOT, BOT_USER, JSON, TEAM, TEAM_DOMAIN, Refusal


def test_authentication(call: Call) -> JSON:
    """auth.test."""
    return {
        "url": f"{call.core.address}/",
        "team": TEAM_DOMAIN,
        "user": call.workspace.members[BOT_USER].name,
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "is_enterprise_install": False,
    }


def test_api(call: Call) -> JSON:
    """api.test: gives back what it got."""
    if call.text("error"):
        raise Refusal(call.text("error"), {"args": call.arguments})
    return {"args": call.arguments}


def open_connection(call: Call) -> JSON:
    """apps.connections.open: the address of one Socket Mode connection, good for one use."""
    if call.core.clock.now() < call.core.refuse_sockets_until:
        raise Refusal("internal_error")
    address = call.core.address.replace("http://", "ws://", 1)
    return {"url": f"{address}/link?ticket={call.core.tokens.ticket()}&app_id={APP}"}


def bot_info(call: Call) -> JSON:
    """bots.info, of the one app there is."""
    if call.text("bot") not in ("", BOT):
        raise Refusal("bot_not_found")
    name = call.workspace.members[BOT_USER].name
    return {"bot": {"id": BOT, "deleted": False, "name": name, "app_id": APP, "user_id": BOT_USER, "icons": {}}}


METHODS = {
    "api.test": Method(test_api, tier=0),
    "auth.test": Method(test_authentication, tier=0),
    "apps.connections.open": Method(open_connection, ("connections:write",), tier=1, app_level=True),
    "bots.info": Method(bot_info, ("users:read",)),
}
