"""An action becomes one call, exactly as it was approved; and what an error says about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.api.actions import InvokeMethod, ManualStep, RowTransaction, RunProgram, Update
from bot.api.queries import make_params
from bot.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    MalformedResponse,
    NotBegun,
    NotFound,
    OutcomeUnknown,
    PolicyViolation,
    ProgramFailed,
    QuotaExceeded,
    TargetFault,
    TargetTimeout,
    Withheld,
)
from bot.executor.actions import definitely_not_executed, fate_of, perform, write_event_log_note
from bot.transport.client import QueryResult

INVOKE = InvokeMethod(
    "hv01", "root/cimv2", make_params(Name="{ticket}"), "C", "M", make_params(Note="for {ticket}", Count=1)
)
CHANGE = RunProgram("hv01", "eventcreate", make_params(says="{ticket} {approver}"))
UPDATES = RowTransaction(
    "vmm01", "db", (Update("t", make_params(Id="{ticket}"), make_params(a=1), make_params(a=None)),)
)
BY_HAND = ManualStep("look", "operator")


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
        return QueryResult((), "", "")


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
    assert await write_event_log_note(actor, INVOKE, "x") == "noted in the event log of hv01"
    assert await write_event_log_note(actor, UPDATES, "x") == ""
    assert await write_event_log_note(actor, BY_HAND, "x") == ""
    assert len(actor.calls) == 1


@pytest.mark.parametrize(
    ("error", "call", "transaction"),
    [
        (TargetFault("a", "b"), False, True),
        (TargetFault("a", "b", is_refusal=True), True, True),
        (NotFound("a", "b"), True, True),
        (AuthenticationFailed("a", "b"), True, True),
        (PolicyViolation("a", "b"), True, True),
        (QuotaExceeded("a", "b"), True, True),
        (TargetTimeout("a", "b"), False, True),
        (ConnectionFailed("a", "b"), False, True),
        (MalformedResponse("a", "b"), False, True),
        (OutcomeUnknown("a", "b"), False, False),
        (NotBegun("a", "b"), True, True),
        (Withheld("a", "b"), True, True),
    ],
)
def test_which_errors_mean_that_nothing_has_begun(error, call, transaction):
    assert error.is_unsent is isinstance(error, (PolicyViolation, NotBegun, Withheld))
    assert definitely_not_executed(error, INVOKE) is definitely_not_executed(error, CHANGE) is call
    assert definitely_not_executed(error, UPDATES) is transaction


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (TargetFault("a", "b"), "faulted"),
        (TargetFault("a", "b", is_refusal=True), "refused"),
        (ProgramFailed("a", "b"), "ended"),
        (ProgramFailed("a", "b", is_refusal=True), "refused"),
        (AuthenticationFailed("a", "b"), "refused"),
        (ConnectionFailed("a", "b"), "unknown"),
        (TargetTimeout("a", "b"), "unknown"),
    ],
)
def test_an_answer_that_is_no_known_refusal_is_told_apart_from_none(error, fate):
    assert fate_of(error, INVOKE) == fate


def test_no_fault_of_an_action_that_may_begin_despite_one_is_a_refusal():
    despite = replace(INVOKE, may_begin_despite_fault=True)
    assert fate_of(TargetFault("a", "b", is_refusal=True), despite) == "faulted"
    assert fate_of(AuthenticationFailed("a", "b"), despite) == "refused"
