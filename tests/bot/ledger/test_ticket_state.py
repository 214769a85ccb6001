"""The fold of a ticket: every transition of the design, and no other."""

from __future__ import annotations

import itertools

import pytest
from entry_samples import entry_data, entry_data_of
from pydantic import ValidationError

from bot.errors import AlreadyDecided, ChangesStopped, Expired, Locked, TicketError, Unanswered
from bot.ledger.entries import model_of
from bot.ledger.schema import _ENDS
from bot.ledger.ticket_state import (
    DECISIONS,
    ENDS,
    KINDS,
    MAY_NAME_A_TICKET,
    OPEN,
    TICKETED,
    TICKETLESS,
    UNDO_FAILED_STATES,
    Ticket,
    TicketEvent,
    TicketState,
    apply,
    check_locks,
    check_stop,
    replay,
    same_person,
)

NOW, SOON, LATE = "2026-03-02T14:00:00Z", "2026-03-02T14:30:00Z", "2026-03-02T15:00:01Z"
PROPOSED = TicketEvent("U1", NOW, entry_data("proposed", {"digest": "d", "open_until": SOON, "policy": "approval"}))
APPROVED = TicketEvent("U2", NOW, entry_data("approved", {"by": "U2", "start_by": SOON}))
STARTED = TicketEvent("bot", NOW, entry_data("started", {"attempt": 1, "locks": ["cluster:prod"]}))
INTERRUPTED = TicketEvent("bot", NOW, entry_data("interrupted", {"step": "drain", "known": "paused"}))
WAY_TO = {
    None: (),
    TicketState.PROPOSED: (PROPOSED,),
    TicketState.APPROVED: (PROPOSED, APPROVED),
    TicketState.RUNNING: (PROPOSED, APPROVED, STARTED),
    TicketState.INTERRUPTED: (PROPOSED, APPROVED, STARTED, INTERRUPTED),
    TicketState.ENDED: (PROPOSED, TicketEvent("U2", NOW, entry_data("rejected", {"by": "U2"}))),
}
# The picture in the design, once more, as data: state -> kind -> state.
PICTURE = {
    None: {"proposed": TicketState.PROPOSED},
    TicketState.PROPOSED: {"approved": TicketState.APPROVED}
    | dict.fromkeys(("rejected", "withdrawn", "expired"), TicketState.ENDED),
    TicketState.APPROVED: {"started": TicketState.RUNNING}
    | dict.fromkeys(("withdrawn", "lapsed", "voided"), TicketState.ENDED),
    TicketState.RUNNING: {
        **dict.fromkeys(("intent", "step-confirmed", "cancel-asked", "resumed"), TicketState.RUNNING),
        **dict.fromkeys(("done", "failed", "cancelled", "voided"), TicketState.ENDED),
        "interrupted": TicketState.INTERRUPTED,
    },
    TicketState.INTERRUPTED: {"resumed": TicketState.RUNNING, "closed": TicketState.ENDED},
    TicketState.ENDED: {},
}
DATA = {
    "digest": "d", "open_until": SOON, "policy": "approval", "by": "U2", "start_by": SOON, "locks": ["cluster:prod"],
    "attempt": 1, "step": "drain", "round": 1, "known": "", "reason": "because",
}  # fmt: skip


def act(kind, step="drain", attempt=1, turn=1):
    return TicketEvent("bot", NOW, entry_data(kind, {"step": step, "round": turn, "attempt": attempt}))


def ticket(*steps) -> Ticket:
    found = replay("T-1", steps)
    assert found is not None
    return found


@pytest.mark.parametrize(("state", "kind"), list(itertools.product(PICTURE, sorted(TICKETED))))
def test_the_picture_and_nothing_else(state, kind):
    before = replay("T-1", WAY_TO[state])
    data = DATA | ({"attempt": 2, "by": "U2"} if kind == "resumed" else {})
    if before is not None and kind in (
        "voided",
        "done",
        "failed",
        "cancelled",
        "interrupted",
        "closed",
        "step-confirmed",
    ):
        data = data | {"attempt": before.attempt}
    step = TicketEvent("U2", LATE if kind in ("expired", "lapsed") else NOW, entry_data_of(kind, data))
    becomes = PICTURE[state].get(kind)
    if becomes is None:
        with pytest.raises(TicketError):
            apply("T-1", before, step)
    else:
        assert apply("T-1", before, step).state is becomes


def test_every_kind_of_entry_is_named_once():
    about_none = "asked answered refused clicked shown stop go anchor moved"
    about_one = (
        "proposed approved rejected withdrawn expired lapsed voided done failed cancelled closed started intent outcome "
        "step-confirmed cancel-asked resumed interrupted"
    )
    assert frozenset(about_none.split()) == TICKETLESS
    assert frozenset(about_one.split()) == TICKETED
    assert KINDS == TICKETLESS | TICKETED
    assert not TICKETLESS & TICKETED
    assert MAY_NAME_A_TICKET < TICKETLESS
    assert set(OPEN) == set(TicketState) - {TicketState.ENDED}
    assert {"rejected", "withdrawn", "expired", "lapsed", "voided", "failed", "cancelled"} == UNDO_FAILED_STATES


def test_the_database_and_the_fold_agree_on_what_ends_a_ticket():
    assert {kind.strip(" '") for kind in _ENDS.split(",")} == ENDS


def test_the_requester_does_not_approve_unless_it_is_a_confirmation():
    own = TicketEvent("U1", NOW, entry_data("approved", {"by": "U1", "start_by": SOON}))
    with pytest.raises(TicketError, match="another approver"):
        ticket(PROPOSED, own)
    confirm = TicketEvent("U1", NOW, entry_data("proposed", {"digest": "d", "open_until": SOON, "policy": "confirm"}))
    assert ticket(confirm, own).state is TicketState.APPROVED


def test_an_unknown_policy_is_none():
    with pytest.raises(ValidationError, match="policy"):
        entry_data("proposed", {"policy": "whatever"})


@pytest.mark.parametrize("kind", sorted(DECISIONS))
def test_the_second_decision_comes_too_late(kind):
    with pytest.raises(AlreadyDecided):
        ticket(PROPOSED, APPROVED, TicketEvent("U3", LATE, entry_data_of(kind, DATA)))
    with pytest.raises(AlreadyDecided, match="has ended: rejected"):
        ticket(*WAY_TO[TicketState.ENDED], TicketEvent("U3", LATE, entry_data_of(kind, DATA)))


def test_both_clocks_are_kept():
    with pytest.raises(Expired):
        ticket(PROPOSED, TicketEvent("U2", LATE, entry_data_of("approved", DATA)))
    with pytest.raises(Expired):
        ticket(PROPOSED, APPROVED, TicketEvent("bot", LATE, entry_data_of("started", DATA)))
    with pytest.raises(TicketError, match="has not expired"):
        ticket(PROPOSED, TicketEvent("bot", NOW, entry_data("expired")))
    with pytest.raises(TicketError, match="has not lapsed"):
        ticket(PROPOSED, APPROVED, TicketEvent("bot", NOW, entry_data("lapsed")))


def test_the_last_moment_of_each_clock_belongs_to_both_sides():
    """Nobody is refused as late and as early in the same moment."""
    for kind in ("approved", "expired"):
        assert apply("T-1", ticket(PROPOSED), TicketEvent("U2", SOON, entry_data_of(kind, DATA | {"start_by": LATE})))
    for kind in ("started", "lapsed"):
        assert apply("T-1", ticket(PROPOSED, APPROVED), TicketEvent("bot", SOON, entry_data_of(kind, DATA)))


def test_times_are_compared_as_moments_not_as_text():
    same_moment_elsewhere = TicketEvent(
        "U2", "2026-03-02T15:29:59+01:00", entry_data("approved", {"by": "U2", "start_by": SOON})
    )
    assert ticket(PROPOSED, same_moment_elsewhere).state is TicketState.APPROVED


@pytest.mark.parametrize("bad", ["", "soon", "2026-03-02T14:00:00", None, 5])
def test_a_clock_without_a_zone_is_no_clock(bad):
    with pytest.raises(ValidationError, match="open_until"):
        entry_data("proposed", {"open_until": bad})


def test_an_act_is_begun_once_and_ended_once():
    running = WAY_TO[TicketState.RUNNING]
    assert ticket(*running, act("intent")).intent == ("drain", 1, 1)
    assert ticket(*running, act("intent"), act("outcome")).intent is None
    for wrong in (
        (act("intent"), act("intent")),
        (act("intent"), act("intent", "other")),
        (act("intent"), act("outcome"), act("intent")),
        (act("outcome"),),
        (act("intent"), act("outcome", turn=2)),
        (act("intent"), act("outcome"), act("outcome")),
    ):
        with pytest.raises(TicketError):
            ticket(*running, *wrong)
    assert ticket(*running, act("intent"), act("outcome"), act("intent", turn=2)).intent == ("drain", 2, 1)


def test_a_step_of_any_round_is_begun_again_in_a_new_attempt_only():
    resumed = TicketEvent("bot", NOW, entry_data("resumed", {"attempt": 2, "by": "bot"}))
    begun = (*WAY_TO[TicketState.RUNNING], act("intent", turn=2))
    assert ticket(*begun, resumed, act("intent", turn=2, attempt=2)).intent == ("drain", 2, 2)
    with pytest.raises(TicketError, match="step drain is in flight"):
        ticket(*begun, act("intent", turn=2))
    with pytest.raises(TicketError, match="step drain is in flight"):
        ticket(*begun, resumed, act("intent", turn=1, attempt=2))
    again = (*begun, act("outcome", turn=2), act("intent", turn=1), act("outcome", turn=1))
    with pytest.raises(TicketError, match="step drain, round 2, has begun already in this attempt"):
        ticket(*again, act("intent", turn=2))
    with pytest.raises(TicketError, match="step other, round 2, is not in flight"):
        ticket(*begun, act("outcome", "other", turn=2))


def test_what_is_in_flight_or_over_is_told_by_its_name():
    begun = (*WAY_TO[TicketState.RUNNING], act("intent"))
    with pytest.raises(TicketError, match="step drain is in flight; nobody knows yet"):
        ticket(*begun, TicketEvent("bot", NOW, entry_data("done", {})))
    with pytest.raises(TicketError, match="step drain, round 3, is not in flight"):
        ticket(*begun, act("outcome", turn=3))


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
def test_no_end_is_claimed_while_an_act_is_in_flight(end):
    with pytest.raises(TicketError, match="in flight"):
        ticket(*WAY_TO[TicketState.RUNNING], act("intent"), TicketEvent("bot", NOW, entry_data(end, {})))


def test_a_ghost_of_an_older_attempt_can_do_nothing():
    resumed = TicketEvent("bot", NOW, entry_data("resumed", {"attempt": 2, "by": "bot"}))
    way = (*WAY_TO[TicketState.RUNNING], act("intent"), resumed)
    for ghost in (act("intent", "next"), act("outcome")):
        with pytest.raises(TicketError, match="attempt 1 is over"):
            ticket(*way, ghost)
    with pytest.raises(TicketError, match="in flight"):
        ticket(*way, act("intent", "next", attempt=2))
    assert ticket(*way, act("outcome", attempt=2)).intent is None
    assert ticket(*way, act("intent", attempt=2)).intent == ("drain", 1, 2)


def outcome(result, attempt=1, **more):
    return TicketEvent(
        "bot", NOW, entry_data("outcome", {"step": "drain", "round": 1, "attempt": attempt, "result": result} | more)
    )


def test_what_was_sent_is_in_flight_although_it_was_held_back_when_it_was_begun_again():
    def resumed(attempt):
        return TicketEvent("bot", NOW, entry_data("resumed", {"attempt": attempt, "by": "bot"}))

    first = (*WAY_TO[TicketState.RUNNING], act("intent"))
    assert ticket(*first, outcome("not sent")).intent is None
    again = (*first, resumed(2), act("intent", attempt=2))
    held = (*again, outcome("not sent", attempt=2))
    assert ticket(*held).intent == ("drain", 1, 1)
    twice = (*held, resumed(3), act("intent", attempt=3), outcome("not sent", attempt=3))
    for way, attempt in ((held, 2), (twice, 3)):
        assert ticket(*way, outcome("done", attempt=attempt)).intent is None
        for wrong in (
            act("intent", "next", attempt=attempt),
            act("outcome", "next", attempt=attempt),
            TicketEvent("bot", NOW, entry_data("failed", {"attempt": attempt})),
        ):
            with pytest.raises(TicketError, match="in flight"):
                ticket(*way, wrong)
        with pytest.raises(TicketError, match="not in flight"):
            ticket(*way, outcome("done", attempt=attempt), outcome("done", attempt=attempt))


def test_a_step_may_fail_before_it_is_begun_and_nothing_else_ends_so():
    running = WAY_TO[TicketState.RUNNING]
    failed = outcome("failed", not_executed=True)
    assert ticket(*running, failed).intent is None
    resumed = TicketEvent("bot", NOW, entry_data("resumed", {"attempt": 2, "by": "bot"}))
    for wrong in (
        (outcome("failed"),),
        (outcome("done", not_executed=True),),
        (outcome("abandoned", not_executed=True),),
        (outcome("failed", not_executed=True, rules_version=2),),
        (act("intent", "other"), failed),
        (resumed, failed),
    ):
        with pytest.raises(TicketError):
            ticket(*running, *wrong)


def test_what_was_held_back_by_older_rules_may_end_as_it_did_then_and_be_asked_about_now():
    resumed = TicketEvent("bot", NOW, entry_data("resumed", {"attempt": 2, "by": "bot"}))
    again = (*WAY_TO[TicketState.RUNNING], act("intent"), resumed, act("intent", attempt=2))
    held = (*again, outcome("not sent", attempt=2, rules_version=2))
    assert ticket(*held, TicketEvent("bot", NOW, entry_data("failed", {"attempt": 2}))).end == "failed"
    assert ticket(*held, act("intent", "next", attempt=2)).intent == ("next", 1, 2)
    assert ticket(*held, outcome("done", attempt=2)).intent is None


@pytest.mark.parametrize("attempt", [1, 3, 0, True, "2"])
def test_attempts_are_counted_without_gaps(attempt):
    with pytest.raises((TicketError, ValidationError)):
        ticket(*WAY_TO[TicketState.RUNNING], TicketEvent("bot", NOW, entry_data("resumed", {"attempt": attempt})))


def test_an_interrupted_ticket_keeps_its_locks_and_an_end_releases_them():
    assert ticket(*WAY_TO[TicketState.INTERRUPTED]).locks == {"cluster:prod"}
    closed = TicketEvent("U2", NOW, entry_data("closed", {"by": "U2", "reason": "looked at it"}))
    assert ticket(*WAY_TO[TicketState.INTERRUPTED], closed).locks == frozenset()


def test_cancel_is_asked_for_and_remembered():
    assert ticket(
        *WAY_TO[TicketState.RUNNING], TicketEvent("U1", NOW, entry_data("cancel-asked", {"by": "U1"}))
    ).cancel_asked


def test_a_cancel_outlives_a_restart_and_not_a_person_who_lets_it_go_on():
    asked = (*WAY_TO[TicketState.RUNNING], TicketEvent("U1", NOW, entry_data("cancel-asked", {"by": "U1"})))
    resumed = TicketEvent("bot", NOW, entry_data("resumed", {"attempt": 2, "by": "bot"}))
    assert ticket(*asked, resumed).cancel_asked
    gave_way = TicketEvent("bot", NOW, entry_data("interrupted", {"yields_locks": True}))
    assert ticket(*asked, gave_way, resumed).cancel_asked
    meant = TicketEvent("U2", NOW, entry_data("resumed", {"attempt": 2, "by": "U2"}))
    assert not ticket(*asked, INTERRUPTED, meant).cancel_asked
    assert not ticket(*WAY_TO[TicketState.RUNNING], resumed).cancel_asked


def test_who_gives_way_says_so_until_it_goes_on():
    assert not any(ticket(*way).yields_locks for state, way in WAY_TO.items() if state is not None)
    for said, gives in ((True, True), (False, False)):
        way = (*WAY_TO[TicketState.RUNNING], TicketEvent("bot", NOW, entry_data("interrupted", {"yields_locks": said})))
        assert ticket(*way).yields_locks is gives
        assert not ticket(*way, TicketEvent("bot", NOW, entry_data("resumed", {"attempt": 2}))).yields_locks


@pytest.mark.parametrize(
    ("state", "kind", "needs"),
    [
        (None, "proposed", "digest"),
        (None, "proposed", "open_until"),
        (None, "proposed", "policy"),
        (TicketState.PROPOSED, "approved", "by"),
        (TicketState.PROPOSED, "approved", "start_by"),
        (TicketState.APPROVED, "started", "attempt"),
        (TicketState.RUNNING, "intent", "step"),
        (TicketState.RUNNING, "intent", "round"),
        (TicketState.RUNNING, "intent", "attempt"),
        (TicketState.RUNNING, "step-confirmed", "by"),
        (TicketState.RUNNING, "cancel-asked", "by"),
        (TicketState.INTERRUPTED, "closed", "by"),
        (TicketState.INTERRUPTED, "closed", "reason"),
    ],
)
def test_an_entry_that_leaves_out_what_it_must_say_is_refused(state, kind, needs):
    before = replay("T-1", WAY_TO[state])
    assert apply("T-1", before, TicketEvent("U2", NOW, entry_data_of(kind, DATA)))
    for wrong in ({}, {needs: ""}, {needs: 0}, {needs: []}):
        data = {name: value for name, value in DATA.items() if name != needs} | wrong
        with pytest.raises(ValidationError, match=needs):
            model_of(kind, {})(
                **{name: value for name, value in data.items() if name in model_of(kind, {}).model_fields}
            )


@pytest.mark.parametrize("locks", [None, "node:hv03", ["node:hv03", ""], ["node:hv03", 3]])
def test_a_start_names_its_locks(locks):
    with pytest.raises(ValidationError, match="locks"):
        entry_data("started", {"attempt": 1, "locks": locks})
    for good in ((), ("a", "b"), ["a"]):
        begun = ticket(
            PROPOSED, APPROVED, TicketEvent("bot", NOW, entry_data("started", {"attempt": 1, "locks": good}))
        )
        assert begun.locks == set(good)


def test_one_person_has_one_id_in_all_teams_of_an_organisation():
    assert same_person("T1/U1", "T2/U1")
    assert same_person("U1", "T2/U1")
    assert not same_person("T1/U1", "T1/U2")
    assert not same_person("T1/U1", "T1")


def test_a_ticket_is_proposed_once_and_first():
    with pytest.raises(TicketError, match="T-1 has been proposed already"):
        ticket(PROPOSED, PROPOSED)
    with pytest.raises(TicketError, match="There is no ticket T-1"):
        ticket(APPROVED)
    with pytest.raises(TicketError, match="T-1 is proposed; it cannot become started"):
        ticket(PROPOSED, STARTED)
    assert replay("T-1", ()) is None


def test_locks_of_others_refuse_and_name_their_holder():
    check_locks("T-2", ["a", "b"], {"a": "T-2", "c": "T-1"})
    check_locks("T-2", ["a"], {"a": "T-1"}, takes_over="T-1")
    with pytest.raises(Locked, match="T-2 cannot start: T-1 holds b"):
        check_locks("T-2", ["a", "b"], {"b": "T-1"})


def test_stop_lets_nothing_begin_and_everything_be_recorded():
    for kind in ("started", "intent"):
        with pytest.raises(ChangesStopped):
            check_stop("T-1", kind, stopped=True)
        check_stop("T-1", kind, stopped=False)
    check_stop("T-1", "outcome", stopped=True)


ASKS = TicketEvent(
    "U1",
    NOW,
    entry_data("proposed", {"open_until": SOON, "policy": "approval", "open_questions": ("room of a", "room of b")}),
)


def answers(*pairs):
    told = [{"what": what, "answer": says} for what, says in pairs]
    return TicketEvent("U2", NOW, entry_data("approved", {"by": "U2", "start_by": SOON, "answers": told}))


def test_an_approval_that_answers_each_open_question_is_one():
    ticket = replay("T-1", (ASKS, answers(("room of b", "I looked"), ("room of a", "40 GB"))))
    assert (ticket.state, ticket.questions) == (TicketState.APPROVED, ("room of a", "room of b"))


@pytest.mark.parametrize(
    "approval",
    [
        APPROVED,
        answers(("room of a", "40 GB")),
        answers(("room of a", "40 GB"), ("room of b", " ")),
        answers(("room of a", "40 GB"), ("room of a", "40 GB")),
        answers(("room of a", "40 GB"), ("room of b", "none"), ("room of c", "none")),
        answers(("room of a", "40 GB"), ("room of b", "none"), ("room of b", "some")),
    ],
)
def test_an_approval_that_answers_less_or_else_is_none(approval):
    with pytest.raises(Unanswered, match="T-1 is not approved"):
        replay("T-1", (ASKS, approval))


def test_an_answer_to_what_no_plan_asks_is_refused():
    with pytest.raises(Unanswered, match="something else"):
        replay("T-1", (PROPOSED, answers(("room of a", "40 GB"))))


def test_what_is_not_known_is_never_confirmed_by_who_asks():
    fields = {"open_until": SOON, "policy": "confirm", "open_questions": ("room of a",)}
    with pytest.raises(TicketError, match="other than the requester"):
        replay("T-1", (TicketEvent("U1", NOW, entry_data("proposed", fields)),))


@pytest.mark.parametrize("one", [{"what": "", "answer": "x"}, {"what": "x", "answer": ""}, {"what": "x"}, "x"])
def test_an_answer_has_a_name_and_words(one):
    with pytest.raises(ValidationError):
        entry_data("approved", {"answers": [one]})


UNTIL = "2026-03-02T14:59:59Z"
BEGINS = {
    TicketState.APPROVED: TicketEvent("bot", UNTIL, STARTED.data),
    TicketState.RUNNING: TicketEvent("bot", UNTIL, entry_data("intent", {"step": "drain", "round": 1, "attempt": 1})),
    TicketState.INTERRUPTED: TicketEvent("U2", UNTIL, entry_data("resumed", {"by": "U2", "attempt": 2})),
}


@pytest.mark.parametrize("state", BEGINS)
def test_nothing_begins_after_the_last_time_and_all_may_before(state):
    timed = {"digest": "d", "open_until": SOON, "policy": "approval", "run_until": UNTIL}
    approved = TicketEvent("U2", NOW, entry_data("approved", {"by": "U2", "start_by": LATE}))
    before = ticket(TicketEvent("U1", NOW, entry_data("proposed", timed)), approved, *WAY_TO[state][2:])
    assert apply("T-1", before, BEGINS[state]).state is TicketState.RUNNING
    with pytest.raises(Expired, match=f"the deadline, {UNTIL}, has passed"):
        apply("T-1", before, TicketEvent("U2", "2026-03-02T15:00:00Z", BEGINS[state].data))


@pytest.mark.parametrize("account", ["U9", "T1/U9", "T2/U9", "os:anna"])
def test_no_other_account_of_the_requester_approves(account):
    told = {"digest": "d", "open_until": SOON, "policy": "approval", "same_person": ["U9", "os:anna"]}
    proposed = ticket(TicketEvent("T1/U1", NOW, entry_data("proposed", told)))
    with pytest.raises(TicketError, match="You requested"):
        apply("T-1", proposed, TicketEvent(account, NOW, entry_data("approved", {"by": account, "start_by": SOON})))


OF_A_RUN = ("done", "failed", "cancelled", "voided", "interrupted", "step-confirmed")


@pytest.mark.parametrize("kind", OF_A_RUN)
def test_what_an_older_attempt_says_of_the_whole_run_is_refused(kind):
    """Of a process that stood still while another one took its ticket up."""
    way = (*WAY_TO[TicketState.RUNNING], TicketEvent("bot", NOW, entry_data("resumed", {"attempt": 2, "by": "bot"})))
    data = DATA | {"attempt": 2}
    ticket(*way, TicketEvent("bot", NOW, entry_data_of(kind, data)))
    for attempt in (0, 1, 3, None):
        with pytest.raises(TicketError, match="attempt"):
            ticket(*way, TicketEvent("bot", NOW, entry_data_of(kind, data | {"attempt": attempt})))


def test_a_close_counts_for_the_interruption_that_its_person_saw():
    way = (*WAY_TO[TicketState.INTERRUPTED], TicketEvent("U2", NOW, entry_data("resumed", {"attempt": 2, "by": "U2"})))
    again = TicketEvent("bot", NOW, entry_data("interrupted", {"attempt": 2}))
    with pytest.raises(TicketError, match="attempt 1 is over"):
        ticket(*way, again, TicketEvent("U2", NOW, entry_data("closed", {"attempt": 1})))
    assert ticket(*way, again, TicketEvent("U2", NOW, entry_data("closed", {"attempt": 2}))).end == "closed"


def test_a_plan_is_void_before_its_start_only_by_who_saw_that_it_had_not_started():
    late = TicketEvent("bot", NOW, entry_data("voided", {"attempt": 0}))
    assert ticket(*WAY_TO[TicketState.APPROVED], late).end == "voided"
    with pytest.raises(TicketError, match="attempt 0 is over"):
        ticket(*WAY_TO[TicketState.RUNNING], late)


@pytest.mark.parametrize("kind", [*OF_A_RUN, "closed"])
def test_an_entry_of_older_rules_names_no_attempt(kind):
    way = WAY_TO[TicketState.INTERRUPTED if kind == "closed" else TicketState.RUNNING]
    data = {name: value for name, value in DATA.items() if name != "attempt"}
    older = entry_data_of(kind, data | {"attempt": None, "rules_version": 2})
    assert replay("T-1", (*way, TicketEvent("U2", NOW, older))) is not None
    with pytest.raises(TicketError, match="attempt"):
        ticket(*way, TicketEvent("U2", NOW, entry_data_of(kind, data | {"attempt": None, "rules_version": 3})))


def test_hvops_lets_nothing_go_on_that_waits_for_a_person():
    resumed = TicketEvent("bot", NOW, entry_data("resumed", {"attempt": 2, "by": "bot"}))
    with pytest.raises(TicketError, match="a person decides"):
        ticket(*WAY_TO[TicketState.INTERRUPTED], resumed)
    older = TicketEvent("bot", NOW, entry_data("resumed", {"attempt": 2, "by": "bot", "rules_version": 2}))
    assert ticket(*WAY_TO[TicketState.INTERRUPTED], older).state is TicketState.RUNNING
