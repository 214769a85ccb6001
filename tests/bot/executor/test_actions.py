"""An action becomes one call, exactly as it was approved; and what an error says about it."""

from __future__ import annotations

import pytest

from bot.api.actions import ByHand, Change, Invoke, Update, Updates
from bot.api.queries import fields
from bot.errors import (
    Absent,
    BadReply,
    LoginRefused,
    OutcomeUnknown,
    OutOfBounds,
    QuotaExceeded,
    Refused,
    TimedOut,
    Unreachable,
)
from bot.executor.actions import is_definite, leave_note, perform
from bot.transport.client import Answer

INVOKE = Invoke("hv01", "root/cimv2", fields(Name="{ticket}"), "C", "M", fields(Note="for {ticket}", Count=1))
CHANGE = Change("hv01", "eventcreate", fields(says="{ticket} {approver}"))
UPDATES = Updates("vmm01", "db", (Update("t", fields(Id="{ticket}"), fields(a=1), fields(a=None)),))
BY_HAND = ByHand("look", "operator")


class Recorder:
    def __init__(self):
        self.calls = []

    async def invoke(self, action, seconds):
        return self._note("invoke", action, seconds)

    async def change(self, action, seconds):
        return self._note("change", action, seconds)

    async def update(self, action, seconds):
        return self._note("update", action, seconds)

    def _note(self, *call):
        self.calls.append(call)
        return Answer((), "", "")


async def test_each_kind_has_its_own_way_and_nothing_in_it_is_filled_in():
    """A machine may be named "{ticket}": what was shown and signed is what is sent."""
    actor = Recorder()
    for action in (INVOKE, CHANGE, UPDATES):
        await perform(actor, action, 30.0)
    assert actor.calls == [("invoke", INVOKE, 30.0), ("change", CHANGE, 30.0), ("update", UPDATES, 30.0)]
    with pytest.raises(TypeError):
        await perform(actor, BY_HAND, 30.0)


async def test_a_note_is_left_on_hosts_only():
    actor = Recorder()
    assert await leave_note(actor, INVOKE, "x") == "noted in the event log of hv01"
    assert await leave_note(actor, UPDATES, "x") == ""
    assert await leave_note(actor, BY_HAND, "x") == ""
    assert len(actor.calls) == 1


@pytest.mark.parametrize(
    ("error", "call", "transaction"),
    [
        (Refused("a", "b"), True, True),
        (Absent("a", "b"), True, True),
        (LoginRefused("a", "b"), True, True),
        (OutOfBounds("a", "b"), True, True),
        (QuotaExceeded("a", "b"), True, True),
        (TimedOut("a", "b"), False, True),
        (Unreachable("a", "b"), False, True),
        (BadReply("a", "b"), False, True),
        (OutcomeUnknown("a", "b"), False, False),
    ],
)
def test_which_errors_mean_that_nothing_has_begun(error, call, transaction):
    assert is_definite(error, INVOKE) is is_definite(error, CHANGE) is call
    assert is_definite(error, UPDATES) is transaction
