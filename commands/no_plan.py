"""Plans that do nothing, and say why: a refusal is an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.api.arguments import Target
from bot.api.plan import Gate, Plan, is_held
from bot.api.report import Remedy

# "No plan for hv03: hv03 is down": what silent or broken machines say of themselves begins with their name.
_NAMED_TWICE = re.compile(r"^(No plan(?: yet)?) for ([^:]+): (?=\2[: ])")


def no_plan(
    because: str,
    gates: Sequence[Gate] = (),
    remedies: Sequence[Remedy] = (),
    evidence: Sequence[str] = (),
    *,
    is_done_already: bool = False,
) -> Plan:
    """Nothing will run.

    Args:
        because: its beginning decides how it is shown. "No plan for hv03: it is down. …", "No plan yet for …": its first
            sentence is the title, which names a target once. "Nothing to …": there is nothing to do. Anything else stands
            below the title "No plan".
        gates: those that were judged; the ones that hold are shown first.
        remedies: buttons that help.
        evidence: notes below.
        is_done_already: what was asked for is so already, as measured; not for something that only cannot be done now.
    """
    return Plan(
        _NAMED_TWICE.sub(r"\1: ", because),
        "",
        "",
        (),
        tuple(gates),
        (),
        tuple(evidence),
        tuple(remedies),
        is_done_already=is_done_already,
    )


def held(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """The gates that keep a plan from being proposed; () where a person's answer can lift all of them."""
    return tuple(gate for gate in gates if gate.blocks_plan) if is_held(gates) else ()


def blocking_reason(target: str, gates: Sequence[Gate]) -> str:
    """Which gates did not pass, with what they measured. `gates`: those of `held` that are to be named, at least one."""
    said = ". ".join(gate.finding for gate in gates)
    return f"No plan yet for {target}. {said}."


def or_no_plan(target: str, whole: Plan) -> Plan:
    """The plan; or none, where a gate holds it that no person's answer lifts. Its buttons help either way."""
    return no_plan(blocking_reason(target, held(whole.gates)), whole.gates, whole.remedies) if whole.is_held else whole


def cluster_lock(target: Target) -> str:
    """What a change there holds: its whole cluster, since nodes lean on each other; else the host."""
    return f"cluster:{target.cluster.lower()}" if target.cluster else f"host:{target.name.lower()}"
