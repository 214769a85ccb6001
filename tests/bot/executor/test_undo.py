"""What is left to take back of a ticket: nothing, where the plan itself puts back what it changed on the way."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import scripted_world as scripted
from entry_samples import entry_data

from bot.tickets.run_history import DONE, FAILED, BegunStep, RunHistory, positions
from bot.tickets.undo import remaining_undo

FACTS = {"broken": "yes", "locked": "no"}


def told(plan, *results):
    """A story in which so many steps were begun, each with its result."""
    story = RunHistory()
    for place, result in zip(positions(plan), results, strict=False):
        story.intents[place.key] = BegunStep(datetime.now(UTC), 1, None, 1)
        story.outcomes[place.key] = entry_data("outcome", {"result": result})
    return story


@pytest.mark.parametrize(
    ("puts_back", "results", "keys"),
    [
        (False, (DONE, DONE, DONE), ["undo-pause"]),
        (True, (DONE, DONE, DONE), []),
        (True, (DONE, FAILED), ["undo-pause"]),
        (True, (DONE, DONE), ["undo-pause"]),
        (True, (), []),
    ],
)
def test_what_is_left_to_undo(puts_back, results, keys):
    plan = replace(scripted.reset_plan("hv03", FACTS), self_reverting=puts_back)
    assert [step.key for step in remaining_undo(plan, told(plan, *results))] == keys
