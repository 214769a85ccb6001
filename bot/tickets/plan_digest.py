"""A plan as JSON, and the digest that an approval signs: SHA-256 over RFC 8785 JSON of what will run.

Every value carries the name of its type, so that a question and an action with the same fields are not the same
bytes, and what is read back is exactly what was written. Nothing of the signed part may be left out by a default:
every field is written, empty ones too, but for those of `_LATER` where they are 0, False, None or (), and a plan's bound, title,
places and promises where it has none.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

import rfc8785

from bot.api import actions, plan, queries, report
from bot.api.actions import InvokeMethod
from bot.api.command import Risk
from bot.api.plan import Check, CompareToBefore, Gate, GateOutcome, Group, OpenQuestion, Plan, Step, bound
from bot.errors import LedgerError
from bot.ledger.entries import exact
from bot.redaction import clip

KIND = "is"  # the key that carries the type
FORMAT = 2  # of what is signed, raised with each field that is
_LATER = {
    (Check, "meanings"),
    (Check, "settle"),
    (CompareToBefore, "nothing_new"),
    (CompareToBefore, "tolerance"),
    (Group, "seconds"),
    (Group, "title"),
    (Group, "unit"),
    (InvokeMethod, "may_begin_despite_fault"),
    (InvokeMethod, "references"),
    (OpenQuestion, "is_override"),
    (Plan, "is_done_already"),
    (Step, "finishes"),
    (Step, "moves"),
    (Step, "no_undo_after"),
    (Step, "reverts"),
    (Step, "undo_guard"),
    (Step, "undoes"),
    (Step, "untouched"),
}
_TYPES: Mapping[str, type[Any]] = {
    one.__name__: one
    for module in (actions, plan, queries, report)
    for one in vars(module).values()
    if isinstance(one, type) and dataclasses.is_dataclass(one)
}


def plan_to_json(whole: Plan) -> dict[str, Any]:
    """The whole plan, with what stands beside the digest."""
    return dict(_written(whole))


def plan_from_json(told: Any) -> Plan:
    """The plan that `plan_to_json` wrote. Raises LedgerError for anything else."""
    try:
        found = _read(told)
    except (TypeError, ValueError, KeyError) as error:
        raise LedgerError(f"A plan in the ledger cannot be read: {error}.") from error
    if not isinstance(found, Plan):
        raise LedgerError("What stands in the ledger is no plan.")
    return found


def signed_payload(whole: Plan, risk: Risk, version: str, run_until: str = "") -> dict[str, Any]:
    """What an approval signs. Measurements stand outside.

    Args:
        whole: the plan.
        risk: how it was called.
        version: of the command that made it.
        run_until: the deadline, as its proposal says; "" for a plan that nobody has proposed yet.
    """
    return {
        "format": FORMAT,
        "version": version,
        "risk": str(risk),
        "locks": sorted(whole.locks),
        "rollback": whole.rollback,
        "gates": [_gate(gate) for gate in whole.gates],
        "groups": [_written(group) for group in whole.groups],
        "touches": list(whole.touches),
        "soak_seconds": whole.soak_seconds,
        "run_until": run_until,
        **({} if whole.at_most is None else {"at_most": whole.at_most}),
        **({"title": whole.title} if whole.title else {}),
        **({"places": list(whole.places)} if whole.places else {}),
        **({"promises": _written(whole.promises)} if whole.promises else {}),
    }


def digest(whole: Plan, risk: Risk, version: str, run_until: str = "") -> str:
    """The digest of a plan, in hexadecimal; of a proposed one, with its deadline."""
    return _sha256(signed_payload(whole, risk, version, run_until))


def digest_as_approved(
    fresh: Plan, approved: Plan, answered: Collection[str], risk: Risk, version: str, *, run_until: str = ""
) -> str:
    """The digest of a plan made afresh, with what a person answered stated as it was when they did.

    It looks past a count that is within the bound that was approved. The only other difference: a gate that was not known,
    and of which now no more is missing than was answered. Whatever else has changed, a question that nobody answered or one that was answered and is not so among
    it, makes another digest than the approved one.
    """
    most = approved.at_most if is_within_bound(fresh, approved) else fresh.at_most
    as_approved = replace(fresh, gates=gates_as_approved(fresh, approved, answered), at_most=most)
    return digest(as_approved, risk, version, run_until)


def is_within_bound(fresh: Plan, approved: Plan) -> bool:
    """Whether no more lose their place now than the approved plan says at most. One that counts none is within any."""
    if fresh.at_most is None:
        return True
    return approved.at_most is not None and fresh.at_most <= bound(approved.at_most)


def gates_as_approved(fresh: Plan, approved: Plan, answered: Collection[str]) -> tuple[Gate, ...]:
    """The gates of a plan made afresh, each that an answer covers as it was approved."""
    before = {gate.description: gate for gate in approved.gates}
    return tuple(_as_approved(gate, before.get(gate.description), answered) for gate in fresh.gates)


def is_covered(now: Gate, was: Gate | None, answered: Collection[str]) -> bool:
    """Whether of a gate that was not known no more is missing now than was, and all of that was answered.

    One that only warned asks nobody, whatever it misses; known by now and not so, it is another warning.
    """
    if was is None or was.outcome is not GateOutcome.NOT_KNOWN or now.outcome is GateOutcome.BLOCKED or now.passes_at:
        return False
    if now.blocks_plan and not now.is_open:
        return False
    if not was.blocks and not now.blocks:
        return True
    asked = {one.what for one in was.questions}
    if (was.is_open or now.is_open) and not (was.is_open and asked <= set(answered)):
        return False  # what blocks now was asked of nobody, or not answered
    return {one.what for one in now.questions} <= asked


def group_digest(group: Group, version: str) -> str:
    """The digest of one group: what is compared when the plan is made afresh half-way."""
    return _sha256({"format": FORMAT, "version": version, "group": _written(group)})


def _gate(gate: Gate) -> dict[str, Any]:
    """A gate that only takes time is signed as passed: nothing starts before it is."""
    passed = gate.outcome is GateOutcome.PASSED or bool(gate.passes_at)
    return {
        "description": gate.description,
        "passed": passed,
        "blocks": gate.blocks,
        "guards": gate.guards,
        "unknowns": [one.what for one in gate.unknowns],
        "answerable": gate.answerable,
    }


def _as_approved(now: Gate, was: Gate | None, answered: Collection[str]) -> Gate:
    if was is None or not is_covered(now, was, answered):
        return now
    return replace(now, outcome=was.outcome, unknowns=was.unknowns)


def _sha256(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


def _is_left_out(value: Any, name: str) -> bool:
    """A field that came later and says nothing: what that is, is written by no other value, so what is signed stays unambiguous."""
    return (type(value), name) in _LATER and not getattr(value, name)


def _written(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [part for part in dataclasses.fields(value) if not _is_left_out(value, part.name)]
        told = {part.name: _written(getattr(value, part.name)) for part in parts}
        return {KIND: type(value).__name__, **told}
    if isinstance(value, (tuple, list)):
        return [_written(one) for one in value]
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, str):
        return exact(value)  # as its entry keeps it: what is signed is what can be read again
    if value is None or isinstance(value, (bool, int)):
        return value
    raise TypeError(
        f"a plan cannot hold {clip(repr(value), 60)}: texts, whole numbers, booleans and tuples of them only"
    )


def _read(told: Any) -> Any:
    if isinstance(told, Mapping):
        parts = {name: _read(part) for name, part in told.items() if name != KIND}
        kind = _TYPES[told[KIND]]
        if kind is Gate:
            parts["outcome"] = GateOutcome(parts["outcome"])
        return kind(**parts)
    if isinstance(told, list):
        return tuple(_read(one) for one in told)
    return told
