"""Payloads: what Slack tells the app when a person types, clicks, submits, closes or opens Home."""

from __future__ import annotations

import secrets

from lab.slack.api_json import message_json, view_json
from lab.slack.blockkit_walk import Placed, state_of
from lab.slack.context import Core
from lab.slack.ephemeral_tokens import Hook
from lab.slack.model import APP, BOT_USER, JSON, TEAM, TEAM_DOMAIN, Channel, Member, Message, View

VERIFICATION = "practice-verification"


def command_payload(core: Core, who: Member, channel: Channel, command: str, text: str) -> JSON:
    """A slash command; forms carry text only, so even is_enterprise_install is text."""
    hook = Hook(who.id, channel.id, core.clock.now(), typed=f"{command} {text}".strip())
    return {
        "token": VERIFICATION,
        "team_id": TEAM,
        "team_domain": TEAM_DOMAIN,
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.kind == "dm" else channel.name,
        "user_id": who.id,
        "user_name": who.name,
        "command": command,
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
        "response_url": hook_url(core, "commands", hook),
        "trigger_id": core.tokens.trigger(who.id),
    }


def message_action(core: Core, who: Member, message: Message, place: Placed, value: JSON) -> JSON:
    """A click in a message. An ephemeral's payload has no `message`, so an app cannot read it back."""
    channel = core.workspace.channels[message.channel]
    hook = Hook(who.id, channel.id, core.clock.now(), message.thread_ts, original=message.ts)
    container: JSON = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": message.only_for is not None,
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    payload = {
        **_interaction(who, "block_actions"),
        "container": container,
        "channel": {"id": channel.id, "name": "directmessage" if channel.kind == "dm" else channel.name},
        "state": {"values": state_of(message.blocks, message.state)},
        "response_url": hook_url(core, "actions", hook),
        "trigger_id": core.tokens.trigger(who.id),
        "actions": [_action(core, place, value)],
    }
    if message.only_for is None:
        payload["message"] = message_json(core.workspace, message)
    return payload


def view_action(core: Core, who: Member, view: View, place: Placed, value: JSON) -> JSON:
    """A click in a modal or in Home."""
    return {
        **_interaction(who, "block_actions"),
        "container": {"type": "view", "view_id": view.id},
        "view": view_json(view),
        "trigger_id": core.tokens.trigger(who.id, view.id),
        "actions": [_action(core, place, value)],
    }


def suggestion(who: Member, view: View, place: Placed, typed: str) -> JSON:
    """A menu with options from the app: somebody opened it, or typed into it."""
    return {
        **_interaction(who, "block_suggestion"),
        "container": {"type": "view", "view_id": view.id},
        "action_id": place.action_id,
        "block_id": place.block_id,
        "value": typed,
        "view": view_json(view),
    }


def submission(core: Core, who: Member, view: View) -> JSON:
    """A modal's submit button."""
    return {
        **_interaction(who, "view_submission"),
        "trigger_id": core.tokens.trigger(who.id, view.id),
        "view": view_json(view),
        "response_urls": [],
    }


def closing(who: Member, view: View, *, cleared: bool) -> JSON:
    """A modal was closed; `cleared` when the whole stack was."""
    return {**_interaction(who, "view_closed"), "view": view_json(view), "is_cleared": cleared}


def event_payload(core: Core, event: JSON) -> JSON:
    """An event of the Events API in its envelope."""
    return {
        "token": VERIFICATION,
        "team_id": TEAM,
        "api_app_id": APP,
        "event": event,
        "type": "event_callback",
        "event_id": "Ev" + secrets.token_hex(5).upper(),
        "event_time": int(core.clock.now()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM,
                "user_id": BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }


def hook_url(core: Core, kind: str, hook: Hook) -> str:
    """A response URL."""
    return f"{core.address}/{kind}/{TEAM}/{core.tokens.hook(hook)}"


def _interaction(who: Member, kind: str) -> JSON:
    return {
        "type": kind,
        "user": {"id": who.id, "username": who.name, "name": who.name, "team_id": TEAM},
        "api_app_id": APP,
        "token": VERIFICATION,
        "team": {"id": TEAM, "domain": TEAM_DOMAIN},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _action(core: Core, place: Placed, value: JSON) -> JSON:
    now = core.clock.now()
    return {
        "action_id": place.action_id,
        "block_id": place.block_id,
        **value,
        **({"style": place.element["style"]} if "style" in place.element else {}),
        "action_ts": f"{now:.6f}",
    }
