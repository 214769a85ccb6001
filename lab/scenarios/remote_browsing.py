"""Hyper-V Manager cannot browse files on hv02 and hv05: the wizards say that remote browsing fails."""

from __future__ import annotations

from collections.abc import Callable

from lab.tour import REVIEW, Step
from lab.world import audit_policy
from lab.world.model import Node
from lab.world.world import Action, World

FAILING = ("hv02", "hv05")
# What an audit policy of long ago left behind: subcategory -> setting. Filtering Platform has one of its own.
_LEFT_BEHIND = {
    "hv02": {
        "921D": audit_policy.SUCCESS,
        "9224": audit_policy.BOTH,
        "9220": audit_policy.FAILURE,
        "9226": audit_policy.FAILURE,
    },
    "hv05": {"921E": audit_policy.FAILURE, "9225": audit_policy.SUCCESS, "9244": audit_policy.SUCCESS},
}
_SAYS = {"works": "works", "fails": "fails", "toggled": "fails; auditing is on as a whole"}

TOUR = (
    Step(
        "plan",
        "Browsing for files on hv02 fails.",
        "Ask for a plan that fixes it: the line is ready below, press Enter.",
        lambda seen: seen.answered("remote browsing"),
        "/fix-remote-browsing hv02",
    ),
    Step(
        "approve",
        "The audit policy is switched on and put back exactly.",
        "Become Approver, read the plan, approve it. Watch the audit policy of hv02 in World: each setting comes back.",
        lambda seen: seen.facts.get("hv02 browsing") == "works" and seen.facts.get("hv02 audit policy") == "as it was",
        press=("Act as › Approver", "Message › Approve"),
    ),
    Step(
        "browse",
        "Only someone at the console can see whether it helped.",
        "Press Reopen the Wizard and Browse hv02 in World. Then, as Operator, press Done in the plan's message.",
        lambda seen: (
            seen.facts.get("hv02 wizard") == "files are listed" and seen.answered("^Done: Fix remote browsing")
        ),
        press=("World › Reopen the Wizard and Browse hv02", "Act as › Operator", "Message › Done"),
    ),
    REVIEW,
)


def begin(world: World) -> None:
    """Leave odd audit settings on two nodes, and let browsing on them fail."""
    before = {}
    for name in FAILING:
        node = world.node(name)
        node.audit = {audit_policy.guid_of(number): value for number, value in _LEFT_BEHIND[name].items()}
        node.browsing = "fails"
        before[name] = audit_policy.policy(node)
    looks: dict[str, str] = {}
    world.prefilled = f"/fix-remote-browsing {FAILING[0]}"
    world.set_alert(
        f"Hyper-V Manager: browsing for a file fails on {' and '.join(FAILING)}. The other nodes are fine.",
        lambda: _facts(world, before, looks),
        [
            Action(f"browse-{name}", f"Reopen the Wizard and Browse {name}", _look(world.node(name), looks))
            for name in FAILING
        ],
    )


def _look(node: Node, looks: dict[str, str]) -> Callable[[], None]:
    return lambda: looks.update({node.name: "files are listed" if node.browsing == "works" else "an error again"})


def _facts(world: World, before: dict[str, dict[str, int]], looks: dict[str, str]) -> list[tuple[str, str]]:
    found = []
    for name in FAILING:
        node = world.node(name)
        now = audit_policy.policy(node)
        changed = sum(now[guid] != value for guid, value in before[name].items())
        found.append((f"{name} browsing", _SAYS[node.browsing]))
        found.append(
            (
                f"{name} audit policy",
                f"{changed} setting{'s differ' if changed > 1 else ' differs'}" if changed else "as it was",
            )
        )
        if name in looks:
            found.append((f"{name} wizard", looks[name]))
    return found
