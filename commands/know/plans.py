"""Plans that do nothing, and say why: a refusal is an answer."""

from __future__ import annotations

from collections.abc import Sequence

from bot.vocabulary.arguments import Target
from bot.vocabulary.plan import Gate, Plan
from bot.vocabulary.report import Remedy


def no_plan(
    because: str, gates: Sequence[Gate] = (), remedies: Sequence[Remedy] = (), evidence: Sequence[str] = ()
) -> Plan:
    """Nothing will run."""
    return Plan(because, "", "", (), tuple(gates), (), tuple(evidence), tuple(remedies))


def held(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """The gates that keep a plan from being proposed."""
    return tuple(gate for gate in gates if gate.holds)


def why_held(target: str, gates: Sequence[Gate]) -> str:
    """Which gates did not pass, with what they measured."""
    said = "; ".join(f"“{gate.says}” is not so: {gate.measured}" for gate in held(gates))
    return f"No plan yet for {target}. {said}."


def lock_of(target: Target) -> str:
    """What a change there holds: its whole cluster, since nodes lean on each other; else the host."""
    return f"cluster:{target.cluster.lower()}" if target.cluster else f"host:{target.name.lower()}"
