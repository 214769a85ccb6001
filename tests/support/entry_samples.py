"""Entries for tests: a test gives the fields that it is about, and the rest is made up."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from bot.ledger.entries import SHOWN, EntryData, OfRun, model_of

FAR = "2999-01-01T00:00:00Z"
_MADE_UP = {
    "action": "",
    "address": "",
    "asked": 1,
    "attempt": 1,
    "button": "approve",
    "by": "U2",
    "category": "not understood",
    "channel": "C0OPS",
    "command": "",
    "delivery": "direct",
    "description": "",
    "digest": "d",
    "entry": 1,
    "head": 1,
    "last_published": 1,
    "ledger_id": "",
    "line": "",
    "locks": (),
    "message": "",
    "open_until": FAR,
    "part": "files",
    "places": (),
    "plan": {},
    "policy": "approval",
    "reason": "because",
    "result": "done",
    "risk": "high",
    "round": 1,
    "start_by": FAR,
    "start_minutes": 30,
    "step": "drain",
    "store": "sqlite",
    "target": "",
    "to": "U1",
    "ts": "1.1",
    "version": "1",
}


def entry_data(kind: str, fields: Mapping[str, Any] | None = None, **more: Any) -> EntryData:
    """What an entry of a kind says. A message of a ticket is what `shown` means unless told."""
    given = {**(fields or {}), **more}
    if kind == "shown":
        given.setdefault("what", "ticket-message")
    return _filled(model_of(kind, given), given)


def entry_data_of(kind: str, fields: Mapping[str, Any]) -> EntryData:
    """The same, of those fields that the kind has."""
    model = SHOWN["ticket-message"] if kind == "shown" else model_of(kind, fields)
    return _filled(model, {name: value for name, value in fields.items() if name in model.model_fields})


def _filled(model: type[EntryData], given: Mapping[str, Any]) -> EntryData:
    needed = [name for name, field in model.model_fields.items() if field.is_required() and name not in given]
    made_up = _MADE_UP | {"answer": secrets.token_urlsafe(8)}
    if issubclass(model, OfRun):
        given = {"attempt": 0 if model.kind == "voided" else 1, **given}  # a plan is void before its first attempt
    return model(**{name: made_up[name] for name in needed}, **given)
