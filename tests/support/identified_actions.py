"""Does a plan act on what it was approved for? What an action goes by, and what its guard has to compare where that is no id.

Between a plan and its actions lie hours: a name, an index or a path may stand for something else by then. So an action goes by
what cannot be given again (a GUID, a package's identity), or just before it an answer says which one that is now. A kind of
action that is not listed here is refused: whoever adds one says how its target is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from bot.api.actions import Action, InvokeMethod, ManualStep, RowTransaction, RunProgram
from bot.api.plan import Check, Expect, Plan
from bot.api.queries import Predicate, Query, RunReader, Wql

GUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE)
# A node, a host and a service have no other identity than their name, and a cluster calls each by it.
NAMED = {"MSCluster_Node", "Win32_Service", "Win32_OperatingSystem"}
# Subcategories by GUID, a package by its identity, a number that is given once.
IDENTIFIED = {"auditpol set", "dism remove package"}


def unidentified(plan: Plan) -> list[str]:
    """Each action of a plan, or of its undo, that goes by something else than an id which its guard does not compare."""
    return [
        f"{step.key}{' (undo)' if action is step.undo else ''}: {why}"
        for step in plan.steps
        for action, guard in ((step.act, step.guard), (step.undo, step.undo_guard))
        if action is not None and (why := _why(action, guard))
    ]


def _why(action: Action, guard: tuple[Check, ...]) -> str:
    if isinstance(action, ManualStep):
        return ""
    if isinstance(action, InvokeMethod):
        return _method(action, guard)
    if isinstance(action, RowTransaction):
        return (
            "" if all(_names_machine(dict(row.key).values(), guard) for row in action.rows) else "VMId is not compared"
        )
    return _program(action, guard)


def _method(action: InvokeMethod, guard: tuple[Check, ...]) -> str:
    path = dict(action.path)
    if action.cls in NAMED:
        return ""
    if action.cls.startswith("Msvm_"):
        keys = [*path.values(), *(value for one in action.references for _, value in one.keys)]
        return "" if any(GUID.search(str(value)) for value in keys) else f"{action.cls} by no id"
    column = {"MSCluster_Resource": "Name", "MSCluster_ResourceGroup": "OwnerGroup"}.get(action.cls)
    if column is None:
        return f"it is not said how {action.cls} is known"
    for question, terms in _expected(guard):
        if isinstance(question, Wql) and question.cls == "MSCluster_Resource":
            told = {(one.column, one.value) for one in (*question.where, *terms)}
            machine = [one.value for one in terms if one.column == "PrivateProperties.VmId" and one.op in ("=", "in")]
            if (column, path["Name"]) in told and machine and all(map(_is_guid, machine)):
                return ""
    return f"that {path['Name']} is the machine's is not compared"


def _is_guid(value: object) -> bool:
    return all(GUID.search(str(one)) for one in (value if isinstance(value, tuple) else (value,)))


def _program(action: RunProgram, guard: tuple[Check, ...]) -> str:
    params = dict(action.params)
    needed: dict[str, Callable[[Query, dict[str, object]], bool]] = {
        "loadmaster set check": lambda question, told: (
            _asks(question, "loadmaster virtual service", vs=params.get("vs"))
            and told.get("index") == params.get("vs")
            and {"name", "address", "port", "protocol"} <= told.keys()
        ),
        "dism add package": lambda question, told: (
            _asks(question, "dism package file", path=params.get("path")) and bool(told.get("identity"))
        ),
        "commvault resume job": lambda question, told: (
            _asks(question, "commvault job", job=params.get("job")) and told.get("job") == params.get("job")
        ),
    }
    if action.what in IDENTIFIED:
        return ""
    compares = needed.get(action.what)
    if compares is None:
        return f"it is not said how the target of {action.what} is known"
    found = any(compares(question, {one.column: one.value for one in terms}) for question, terms in _expected(guard))
    return "" if found else f"what {action.what} of {params} goes to is not compared"


def _asks(question: Query, what: str, **params: object) -> bool:
    return isinstance(question, RunReader) and question.what == what and dict(question.params) == params


def _names_machine(keys: object, guard: tuple[Check, ...]) -> bool:
    return any(
        isinstance(question, RunReader)
        and question.what == "vmm virtual machine"
        and [*dict(question.params).values()] == [*keys]  # type: ignore[call-overload]
        and any(one.column == "VMId" and _is_guid(one.value) for one in terms)
        for question, terms in _expected(guard)
    )


def _expected(guard: tuple[Check, ...]) -> Iterator[tuple[Query, tuple[Predicate, ...]]]:
    """Each question with what at least one row of its answer has to be."""
    for check in guard:
        for one in check.holds:
            if isinstance(one, Expect) and one.at_least:
                yield check.question, tuple(term for term in (*one.where, *one.each) if isinstance(term, Predicate))
