"""views.*: modals and the Home."""

from __future__ import annotations

import json

from lab.slack.api_json import view_json
from lab.slack.blockkit_walk import numbered
from lab.slack.context import Call, Method
from lab.slack.limits import check_view
from lab.slack.model import JSON, Refusal, View
from lab.slack.workspace import MOST_VIEWS

LARGEST_VIEW = 250_000
"""Bytes of a view's JSON."""


def open_view(call: Call) -> JSON:
    """views.open."""
    payload = checked(call, call.arguments.get("view"), ("modal",))
    trigger = call.core.tokens.exchange(_trigger(call))
    _room(call, trigger.user)
    return {"view": view_json(call.workspace.open_view(trigger.user, payload, on_top=False))}


def push(call: Call) -> JSON:
    """views.push: onto the modal in which the trigger was pulled."""
    payload = checked(call, call.arguments.get("view"), ("modal",))
    trigger = call.core.tokens.exchange(_trigger(call))
    _room(call, trigger.user)
    if not call.workspace.modals.get(trigger.user):
        raise Refusal("not_found")
    return {"view": view_json(call.workspace.open_view(trigger.user, payload, on_top=True))}


def update(call: Call) -> JSON:
    """views.update: by view_id or external_id, and only when the hash, if given, is still the view's."""
    view = call.workspace.view(call.text("view_id")) or call.workspace.view_called(call.text("external_id"))
    if view is None:
        raise Refusal("not_found")
    payload = checked(call, call.arguments.get("view"), (view.kind,), itself=view)
    _same(call, view)
    return {"view": view_json(call.workspace.update_view(view, payload))}


def publish(call: Call) -> JSON:
    """views.publish: the Home of one member."""
    user = call.text("user_id")
    if user not in call.workspace.members:
        raise Refusal("user_not_found")
    present = call.workspace.homes.get(user)
    payload = checked(call, call.arguments.get("view"), ("home",), itself=present)
    if present:
        _same(call, present)
    return {"view": view_json(call.workspace.publish_home(user, payload))}


def checked(call: Call, payload: object, kinds: tuple[str, ...], itself: View | None = None) -> JSON:
    """A view that Slack would take, with block ids filled in.

    Raises:
        Refusal: invalid_arguments with JSON pointers, view_too_large, duplicate_external_id.
    """
    if not isinstance(payload, dict):
        messages = ["[ERROR] missing required field: view"]
        raise Refusal("invalid_arguments", {"response_metadata": {"messages": messages}})
    if len(json.dumps(payload, ensure_ascii=False).encode()) > LARGEST_VIEW:
        raise Refusal("view_too_large")
    check_view(payload, kinds)
    holder = call.workspace.view_called(str(payload.get("external_id") or ""))
    if holder is not None and holder is not itself:
        raise Refusal("duplicate_external_id")
    return {**payload, "blocks": numbered(payload["blocks"])}


def _trigger(call: Call) -> str:
    trigger = call.text("trigger_id") or call.text("interactivity_pointer")
    if not trigger:
        messages = ["[ERROR] missing required field: trigger_id"]
        raise Refusal("invalid_arguments", {"response_metadata": {"messages": messages}})
    return trigger


def _room(call: Call, user: str) -> None:
    if len(call.workspace.modals.get(user, [])) >= MOST_VIEWS:
        raise Refusal("push_limit_reached")


def _same(call: Call, view: View) -> None:
    if call.text("hash") and call.text("hash") != view.hash:
        raise Refusal("hash_conflict")


METHODS = {
    "views.open": Method(open_view, tier=4),
    "views.push": Method(push, tier=4),
    "views.update": Method(update, tier=4),
    "views.publish": Method(publish, tier=4),
}
