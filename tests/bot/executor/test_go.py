"""A go ends what its person could know of: no stop, and nobody's wish for one, that came after it was given."""

from __future__ import annotations

from datetime import timedelta

import pytest
from entry_samples import entry_data
from scripted_world import APPROVER, OPERATOR, OTHER, VIEWER

from bot.errors import LedgerError, PermissionDenied, StopNotWritten, StoppedSince, SwitchUnchanged
from bot.ledger.entries import STOP_REQUEST

SINCE = "^Changes have been stopped since this go was given, "
AGAIN = r"Nothing was done\. To end that stop, type it again\."


def stopped_anew(bench):
    bench.decisions.allow_changes(OTHER)
    bench.decisions.stop_changes(OPERATOR, "smoke in the room")


def stopped_for_the_first_time(bench):
    bench.decisions.stop_changes(OPERATOR, "smoke in the room")


@pytest.mark.parametrize("was_stopped", [True, False])
def test_a_go_that_was_given_before_a_stop_does_not_end_it(bench, was_stopped):
    decisions = bench.decisions
    if was_stopped:
        decisions.stop_changes(OPERATOR, "power work")
    given = decisions.in_force()
    (stopped_anew if was_stopped else stopped_for_the_first_time)(bench)
    with pytest.raises(StoppedSince, match=f"{SINCE}by {OPERATOR.name} at .*: smoke in the room. {AGAIN}"):
        decisions.allow_changes(APPROVER, given=given)
    refused = bench.ledger.head()
    assert (refused.line, refused.fields["category"]) == ("/hvops go", "too late")
    assert bench.ledger.is_stopped()
    decisions.allow_changes(APPROVER, given=decisions.in_force())
    assert not bench.ledger.is_stopped()


def test_a_go_of_a_stop_that_somebody_else_has_ended_hears_of_that(bench):
    bench.decisions.stop_changes(OPERATOR, "power work")
    given = bench.decisions.in_force()
    bench.decisions.allow_changes(OTHER)
    with pytest.raises(SwitchUnchanged, match="Changes are not stopped"):
        bench.decisions.allow_changes(APPROVER, given=given)


def stops_again_with_a_reason(bench, who):
    bench.decisions.stop_changes(who, "smoke in the room")


def asks_to_stop_in_a_window(bench, who):
    bench.decisions.check_stop(who)


def stops_again_in_slack(bench, who):
    asked = {"button": STOP_REQUEST, "reason": "smoke in the room"}
    click = bench.ledger.append(who.id, entry_data("clicked", asked))
    bench.decisions.stop_changes(who, "smoke in the room", click.seq)


@pytest.mark.parametrize(
    ("asks", "why"),
    [
        (stops_again_with_a_reason, ""),
        (asks_to_stop_in_a_window, ""),
        (stops_again_in_slack, ": smoke in the room"),
    ],
)
def test_a_go_that_was_given_before_a_second_person_wanted_a_stop_does_not_end_it(benches, asks, why):
    """They are told that changes are stopped already, and count on that."""
    bench = benches()
    bench.decisions.stop_changes(OPERATOR, "power work")
    given = bench.decisions.in_force()
    with pytest.raises(SwitchUnchanged, match="already stopped"):
        asks(bench, OTHER)
    for one in (bench, benches()):  # as this process knows, and as its next life reads
        with pytest.raises(StoppedSince, match=rf"{SINCE}by {OTHER.name} at [^:]*:[^:]*{why}\. {AGAIN}"):
            one.decisions.allow_changes(APPROVER, given=given)
    bench.decisions.allow_changes(APPROVER)
    assert not bench.ledger.is_stopped()


def test_who_may_not_stop_keeps_no_stop_in_force(bench):
    bench.decisions.stop_changes(OPERATOR, "power work")
    given = bench.decisions.in_force()
    bench.ledger.append(VIEWER.id, entry_data("clicked", {"button": STOP_REQUEST, "reason": "mine"}))
    for _ in range(3):
        with pytest.raises(PermissionDenied):
            bench.decisions.stop_changes(VIEWER, "mine")
    bench.decisions.allow_changes(APPROVER, given=given)
    assert not bench.ledger.is_stopped()


def test_a_go_that_comes_before_the_second_person_is_told_lets_them_stop(bench, monkeypatch):
    """Between the look and the entry of what they are told."""
    bench.decisions.stop_changes(OPERATOR, "power work")
    given, write = bench.decisions.in_force(), bench.decisions._write_refusal

    def late(*told):
        monkeypatch.setattr(bench.decisions, "_write_refusal", write)
        bench.decisions.allow_changes(APPROVER, given=given)
        write(*told)

    monkeypatch.setattr(bench.decisions, "_write_refusal", late)
    assert bench.decisions.stop_changes(OTHER, "smoke in the room").kind == "stop"
    assert bench.ledger.newest_switch().reason == "smoke in the room"


def test_a_request_to_stop_that_comes_after_a_go_was_given_is_not_settled_by_it(benches):
    """The process dies before it stops: the next one does."""
    bench = benches()
    bench.decisions.stop_changes(OPERATOR, "power work")
    before = bench.ledger.append(OTHER.id, entry_data("clicked", {"button": STOP_REQUEST, "reason": "power work"}))
    given = bench.decisions.in_force()
    click = bench.ledger.append(OTHER.id, entry_data("clicked", {"button": STOP_REQUEST, "reason": "smoke"}))
    assert [one.seq for one in bench.ledger.stop_requests()] == [before.seq, click.seq]
    bench.decisions.allow_changes(APPROVER, given=given)
    for one in (bench, benches()):
        assert [request.seq for request in one.ledger.stop_requests()] == [click.seq]
    bench.decisions.stop_changes(OTHER, "smoke", click.seq)
    assert bench.ledger.stop_requests() == []


def _refuses(*_):
    raise LedgerError("the disk is full")


@pytest.mark.parametrize("was_stopped", [True, False])
def test_a_go_that_was_given_before_a_stop_that_could_not_be_written_does_not_end_it(bench, monkeypatch, was_stopped):
    if was_stopped:
        bench.decisions.stop_changes(OPERATOR, "power work")
    given = bench.decisions.in_force()
    if was_stopped:
        bench.decisions.allow_changes(OTHER)

    with monkeypatch.context() as full:
        full.setattr(bench.ledger._store, "insert", _refuses)
        with pytest.raises(StopNotWritten):
            bench.decisions.stop_changes(OPERATOR, "smoke in the room")
    with pytest.raises(StoppedSince, match="on this bot only: that stop could not be written to the ledger"):
        bench.decisions.allow_changes(APPROVER, given=given)
    assert bench.ledger.is_stopped()
    bench.decisions.allow_changes(APPROVER)
    assert not bench.ledger.is_stopped()


def test_a_go_of_another_process_does_not_end_a_stop_that_could_not_be_written(benches, monkeypatch):
    """Who says go there cannot know of it: it is no stop that they have seen. A go that reaches the process itself ends it."""
    mine, other = benches(), benches()
    with monkeypatch.context() as full:
        full.setattr(mine.ledger._store, "insert", _refuses)
        with pytest.raises(StopNotWritten):
            mine.decisions.stop_changes(OPERATOR, "smoke in the room")
    other.decisions.stop_changes(OTHER, "power work")
    other.decisions.allow_changes(APPROVER, given=other.decisions.in_force())
    mine.ledger.prove()
    assert (mine.ledger.is_stopped(), other.ledger.is_stopped()) == (True, False)
    mine.decisions.allow_changes(APPROVER, given=mine.decisions.in_force())
    assert (mine.ledger.is_stopped(), other.ledger.is_stopped()) == (False, False)


def test_where_nobody_can_say_what_was_in_force_a_go_is_given_again(bench, monkeypatch):
    bench.decisions.stop_changes(OPERATOR, "power work")

    def silent():
        raise LedgerError("no answer")

    with monkeypatch.context() as away:
        away.setattr(bench.ledger, "in_force", silent)
        given = bench.decisions.in_force()
    with pytest.raises(
        StoppedSince, match=f"^hvops can't tell whether .* by {OPERATOR.name} at .*: power work. {AGAIN}"
    ):
        bench.decisions.allow_changes(APPROVER, given=given)
    assert bench.ledger.is_stopped()


def test_a_go_counts_from_when_it_was_given_and_not_from_when_that_was_looked_up(bench, clock):
    given = clock()
    clock.forward(minutes=1)
    bench.decisions.stop_changes(OPERATOR, "power work")
    clock.forward(minutes=1)
    late = bench.decisions.in_force().as_given(given, clock())
    with pytest.raises(StoppedSince):
        bench.decisions.allow_changes(APPROVER, given=late)
    ahead = bench.decisions.in_force().as_given(given, given + timedelta(seconds=1))  # the stop is dated after now
    bench.decisions.allow_changes(APPROVER, given=ahead)
    assert not bench.ledger.is_stopped()
