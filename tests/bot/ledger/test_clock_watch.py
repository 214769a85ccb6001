"""Whether the clock of a process was set, told from the one that nobody sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.errors import LedgerError
from bot.ledger.clock_watch import ClockDoubt, ClockWatch

AT = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


class Machine:
    def __init__(self):
        self.clock, self.seconds = AT, 0.0

    def passes(self, seconds):
        self.clock += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def watch(machine):
    return ClockWatch(lambda: machine.clock, lambda: machine.seconds)


def test_time_that_passes_is_no_clock_that_was_set(machine, watch):
    machine.passes(86400)
    machine.clock += timedelta(seconds=4)
    assert watch.look(lambda: 7) == ClockDoubt()


@pytest.mark.parametrize("by", [90, -90])
def test_a_clock_that_was_set_is_noticed_once_and_says_nothing_of_what_was_there(machine, watch, by):
    machine.passes(100)
    machine.clock += timedelta(seconds=by)
    assert watch.look(lambda: 7) == ClockDoubt(7, 100.0, by)
    machine.passes(50)
    assert watch.look(lambda: 9) == ClockDoubt(7, 100.0, by)
    machine.clock -= timedelta(seconds=by)
    assert watch.look(lambda: 11) == ClockDoubt(11, 150.0, -by)


def test_small_steps_are_noticed_together(machine, watch):
    for _ in range(3):
        machine.clock += timedelta(seconds=2)
        found = watch.look(lambda: 7)
    assert found.by == 6


def test_where_the_ledger_cannot_be_asked_the_next_look_notices_it_all_the_same(machine, watch):
    machine.clock += timedelta(seconds=90)

    def away():
        raise LedgerError("it does not answer")

    with pytest.raises(LedgerError):
        watch.look(away)
    assert watch.look(lambda: 8).up_to == 8


@pytest.mark.parametrize(("behind", "up_to"), [(-60, 0), (4, 0), (60, 5)])
def test_a_clock_that_is_behind_the_newest_entry_when_it_begins_says_nothing_of_it(watch, behind, up_to):
    watch.begin(AT + timedelta(seconds=behind), 5)
    assert watch.look(lambda: 9).up_to == up_to


def test_a_thread_that_stands_still_between_two_looks_is_no_clock_that_was_set():
    """It was held up for a minute between asking the one clock and the other."""
    machine, held_up = Machine(), [0, 60, 0]

    def clock():
        told = machine.clock
        machine.passes(held_up.pop() if held_up else 0)
        return told

    watch = ClockWatch(clock, lambda: machine.seconds)
    assert watch.look(lambda: 7) == ClockDoubt()
    assert not held_up
