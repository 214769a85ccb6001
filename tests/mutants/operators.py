"""What cosmic-ray does not break by itself: statements that only refuse, the role that a door asks for, `in`."""

from __future__ import annotations

from typing import Any, ClassVar

import parso
from cosmic_ray.operators.operator import Operator


class DropStatement(Operator):
    """A call whose value nobody takes, or a raise, is left out: a check that is never made."""

    def mutation_positions(self, node: Any) -> Any:
        if node.type == "simple_stmt" and _only_acts(node.children[0]):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        return parso.parse(f"{node.get_first_leaf().prefix}pass\n")

    @classmethod
    def examples(cls) -> Any:
        return ()


class LowerRole(Operator):
    """A door that asks for the next lower role."""

    BELOW: ClassVar = {"APPROVER": "OPERATOR", "OPERATOR": "VIEWER", "VIEWER": "NOBODY"}

    def mutation_positions(self, node: Any) -> Any:
        before = node.get_previous_leaf() if node.type == "name" and node.value in self.BELOW else None
        if before is not None and before.value == "." and before.get_previous_leaf().value == "Role":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = self.BELOW[node.value]
        return node

    @classmethod
    def examples(cls) -> Any:
        return ()


class NegateIn(Operator):
    """`in` becomes `not in`, and back."""

    def mutation_positions(self, node: Any) -> Any:
        if node.type == "comparison" and _is_in(node.children[1]):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        left, found, right = (one.get_code() for one in node.children[:3])
        rest = "".join(one.get_code() for one in node.children[3:])
        turned = " not in" if found.strip() == "in" else " in"
        return parso.parse(f"{left}{turned}{right}{rest}")

    @classmethod
    def examples(cls) -> Any:
        return ()


def _only_acts(node: Any) -> bool:
    if node.type == "raise_stmt":
        return True
    return node.type == "atom_expr" and node.children[-1].get_first_leaf().value == "("


def _is_in(node: Any) -> bool:
    return node.get_code().split() in (["in"], ["not", "in"])
