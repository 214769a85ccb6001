"""Which set of updates is meant: one of the rule file, one of the inventory, or one update alone."""

from __future__ import annotations

from collections.abc import Sequence

from bot.api.arguments import Kb
from bot.api.updates import UpdateRule, UpdateStep
from commands.sources.rules import KnownIssue, traps


def find_rule(word: str, own: Sequence[UpdateRule]) -> UpdateRule | KnownIssue | None:
    """The set that a word names.

    Args:
        word: as it was typed.
        own: rules of the inventory, which go before those of the file.

    Returns:
        A rule; a trap that hvops does not undo by itself; None for a word that names nothing.
    """
    for rule in own:
        if rule.key.casefold() == word.strip().casefold():
            return rule
    try:
        kb = Kb.parse(word)
    except ValueError:
        return None
    for trap in traps():
        if trap.key.casefold() == kb.casefold():
            return as_rule(trap) or trap
    if "-" in kb:  # a revision has no package of its own name
        return None
    return UpdateRule(kb, f"{kb} belongs on every node", (), (UpdateStep("add", kb),))


def as_rule(trap: KnownIssue) -> UpdateRule | None:
    """A trap as steps; None where its way out is for people alone."""
    if not trap.steps:
        return None
    return UpdateRule(trap.key, f"{trap.says}. {trap.means}", trap.builds, trap.steps, trap.unless)
