"""A repeated group as people see it: counted, with its rate, and never written out a thousand times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.api.plan import Group
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.render import ticket_thread
from bot.slack.render.rounds import count_rounds, rounds_chart, rounds_text
from bot.slack.render.ticket import ticket_message
from bot.slack.render.ticket_thread import entry_message
from lab.slack.plain_text import plain_text


@pytest.fixture
def soaking(told, drained):
    """A ticket of `of` rounds there and back; `done` moves of it are done, each in two minutes."""

    def make(done, of=1_000, last=""):
        there = drained().groups[0].steps[0]
        there = replace(there, key="there", description="Live-migrate crm from hv01 to hv02", undo=None)
        back = replace(there, key="back", description="Live-migrate crm from hv02 to hv01")
        plan = drained(groups=(Group("soak", (there, back), times=of, unit="live migration"),), title="Move crm live")
        ticket = told(plan).started()
        for number in range(done + bool(last)):
            place = {"step": ("there", "back")[number % 2], "round": number // 2 + 1, "attempt": 1}
            ticket.tells("intent", **place)
            ticket.tells("outcome", **place, result=last if number == done else "done", basis="changed")
        return ticket

    return make


def said(message):
    return plain_text(list(message.blocks))


def test_a_thousand_rounds_are_as_short_as_two(soaking):
    few, many = (said(ticket_message(soaking(0, of).card())) for of in (2, 1_000))
    assert len(many) < 2 * len(few) + 300
    assert "0 of 2,000 live migrations done" in many


def test_a_run_tells_how_many_and_how_fast(soaking):
    card = soaking(7).card()
    assert rounds_text(card) == "7 of 2,000 live migrations done, 0.5 a minute, 1 min each (1 min to 1 min)"
    message = ticket_message(card)
    assert "7 of 2,000 live migrations done" in said(message)
    assert not problems(message)


def test_the_end_has_the_rate_as_a_chart_and_the_failure_counted(soaking):
    ticket = soaking(41, last="failed")
    ticket.tells("failed", reason="step 42: crm was not migrated: busy", step="back", number=42)
    card = ticket.card()
    text = said(ticket_message(card))
    assert "41 of 2,000 live migrations done, 1 failed" in text
    assert "Not begun" not in text  # the count at the top says how far it came
    assert not problems(ticket_message(card))
    chart = rounds_chart(card)
    assert len(chart.bars) == 20
    minutes = count_rounds(card).seconds / 60
    assert sum(bar.tenths for bar in chart.bars) * minutes / 20 / 10 == pytest.approx(41, rel=0.1)
    assert chart.thresholds == (("average", 5),)
    end = entry_message(card, card.entries[-1])
    assert "41 of 2,000 live migrations done, 1 failed" in end.text


def test_the_thread_has_a_line_for_the_first_round_and_for_what_fails(soaking):
    card = soaking(9, last="failed").card()
    lines = [entry_message(card, entry) for entry in card.entries if entry.kind == "outcome"]
    assert [line is not None for line in lines] == [True, True] + [False] * 7 + [True]


@pytest.mark.parametrize("done", [0, 1])
def test_one_move_makes_no_rate(soaking, done):
    assert rounds_chart(soaking(done).card()) is None


def test_a_plan_that_counts_nothing_says_nothing(told):
    card = told().started().card()
    assert (count_rounds(card), rounds_text(card), rounds_chart(card)) == (None, "", None)


class _Row(dict):
    """A row that counts how often it is compared with another."""

    compared = 0

    def __eq__(self, other):
        _Row.compared += 1
        return super().__eq__(other)

    __hash__ = None


def test_of_thousands_of_rows_before_and_after_each_is_looked_up():
    many = 1_000
    before = [_Row(Name=f"crm-{number}") for number in range(many)]
    after = [_Row(Name=f"crm-{number}") for number in range(many - 1)]
    lines = ticket_thread._states(None, None, before, after)
    assert lines == ["Before: Name crm-999", "After: none (999 rows unchanged)"]
    assert _Row.compared < 20 * many
