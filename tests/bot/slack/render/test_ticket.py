"""Every state of a ticket as its message, and hostile plans."""

import string
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bot.api.actions import InvokeMethod
from bot.api.command import CHECK_RESULT
from bot.api.plan import Gate, GateOutcome, Group, OpenQuestion, Plan, Step, exists
from bot.api.queries import Wql
from bot.api.report import Remedy
from bot.executor.context import TicketChange
from bot.slack.outbound.blockkit_fitting import downgrade, fit
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.render.proposed import plan_text
from bot.slack.render.ticket import copy_message, ticket_message
from bot.slack.render.ticket_thread import _image, entry_message, plan_message
from bot.slack.render.ticket_view_model import StopView
from lab.slack import limits as practice
from lab.slack.plain_text import plain_text


def said(message):
    return plain_text(list(message.blocks))


def labels(message):
    return [one["text"]["text"] for block in message.blocks if block["type"] == "actions" for one in block["elements"]]


def values(message):
    return {one["value"] for block in message.blocks if block["type"] == "actions" for one in block["elements"]}


def test_a_proposal_says_what_decides_and_the_thread_has_all_that_is_signed(told):
    card = told().card()
    message = ticket_message(card)
    text = said(message)
    assert message.blocks[0]["text"]["text"] == "Drain node hv03?"
    for fact in (
        "T-412",
        "<@U0OPERATOR>",
        "<!subteam^S0APPROVERS>: one of you (not the requester) must approve or reject",
        "Impact:* 11 guests live-migrate off and back",
        "Way back:* Resume hv03 at any step",
        "Risk:* high",
        "*1 of 2 checks passed* at ",
        "• *Warning:* This check failed: No other node is paused (hv05 is paused)",
        "1* Pause and drain hv03",
        "(by hand, operator, ",
        "Locks:* cluster prod; no other change can run there meanwhile",
        f"Commands, checks and evidence: in the thread · plan {card.proposal.digest[:8]}",
    ):
        assert fact in text
    whole = said(entry_message(card, card.entries[0]))
    for fact in (
        "MSCluster_Node[Name='hv03'].Pause(DrainType=1)",
        "by hand (operator): Open the wizard again.",
        "No guest on hv03 is locked (0 of 11 locked)",
        card.proposal.digest,
    ):
        assert fact not in text
        assert fact in whole
    assert labels(message) == ["Approve", "Reject…", "Withdraw"]
    assert values(message) == {"T-412"}
    approve = message.blocks[-1]["elements"][0]
    assert approve["confirm"]["text"]["text"].startswith("Starts now: Pause and drain hv03; Restart vmms on hv03;")
    assert card.proposal.digest in plan_text(card.proposal)


SERVICES = Wql("hv03", "root/cimv2", "Win32_Service")


def long_plan(*titles):
    """Two groups of seven steps, as many as there are titles."""
    groups = (
        Group(
            f"g{at}",
            tuple(
                Step(f"s{at}{number}", f"Do {at}{number}", None, (exists(SERVICES, within=60),)) for number in range(7)
            ),
            on_failure="stop" if at else "undo",
            title=title,
        )
        for at, title in enumerate(titles)
    )
    return Plan("why", "impact", "way back", ("cluster:prod",), (), tuple(groups))


def test_a_plan_of_very_many_steps_says_what_its_parts_do_and_each_step_is_in_the_thread(told):
    card = told(long_plan("Empty hv03", "Bring hv03 back")).card()
    text = said(ticket_message(card))
    for fact in (
        "*14 steps (each is in the thread):*",
        "*1–7* Empty hv03 (7 min, rolled back if it fails)",
        "*8–14* Bring hv03 back (7 min)",
        "Any other failure ends it there, without a rollback.",
        "*Locks:* cluster prod",
    ):
        assert fact in text
    assert "Do 00" not in text
    whole = said(entry_message(card, card.entries[0]))
    assert all(f"Do {at}{number}" in whole for at in range(2) for number in range(7))
    assert "Group g1, on failure: stop: Bring hv03 back" in whole


@pytest.mark.parametrize("titles", [("Empty hv03", ""), ("Empty hv03",)])
def test_each_step_is_shown_where_a_part_has_no_words_or_the_steps_are_few(told, titles):
    text = said(ticket_message(told(long_plan(*titles)).card()))
    assert all(f"Do {at}{number}" in text for at in range(len(titles)) for number in range(7))


def test_while_changes_are_stopped_nothing_is_said_to_start_now(told):
    for card, verb in (
        (told().card(stop=StopView(None)), "Approve"),
        (told(policy="confirm").card(stop=StopView(None)), "Confirm"),
    ):
        confirm = ticket_message(card).blocks[-1]["elements"][0]["confirm"]
        asks = confirm["text"]["text"]
        assert asks.startswith("Changes are stopped, so nothing starts before /hvops go. After that: Pause and drain")
        assert confirm["confirm"]["text"] == verb


def test_a_plan_with_a_title_of_its_own_is_headed_by_it(told):
    card = told(plan=replace(told().card().plan, title="Erase hv05 and reinstall Windows")).card()
    assert ticket_message(card).blocks[0]["text"]["text"] == "Erase hv05 and reinstall Windows?"
    assert "Title: Erase hv05 and reinstall Windows" in plan_text(card.proposal)


def test_a_low_risk_is_confirmed_by_its_requester(told):
    message = ticket_message(told(policy="confirm").card())
    assert labels(message) == ["Confirm", "Withdraw"]
    assert "<@U0OPERATOR>, who must confirm" in said(message)


def test_nobody_who_could_decide_is_said_at_once(told):
    assert "Nobody can decide this now." in said(ticket_message(told().card(nobody="The group is empty.")))


def test_an_approval_takes_the_place_of_the_buttons(told):
    message = ticket_message(told().approved().card())
    assert "Approved* by <@U0APPROVER>" in said(message)
    assert "re-checking" in said(message)
    assert "Pause and drain hv03" in said(message)
    assert labels(message) == ["Withdraw"]


def test_a_run_shows_every_step(told):
    run = told().started().begins("drain").ends("drain").begins("restart")
    message = ticket_message(run.card(happening=TicketChange("T-412", "progress", 2, 3, "vmms is Stopped")))
    text = said(message)
    assert message.blocks[0]["text"]["text"] == "T-412 hv03: step 2 of 3"
    assert "1 Pause and drain hv03: done" in text
    assert "2 Restart vmms on hv03: vmms is Stopped" in text
    assert "approved by <@U0APPROVER>" in text
    assert labels(message) == ["Stop After Step"]
    assert "step 2 of 3" in message.text
    stopping = run.tells("cancel-asked", "T0PRACTICE/U0APPROVER", by="x")
    assert labels(ticket_message(stopping.card())) == []
    assert "<@U0APPROVER> asked it to stop" in said(ticket_message(stopping.card()))


def test_a_step_by_hand_waits_for_its_button(told):
    run = told().started().begins("drain").ends("drain").begins("restart").ends("restart").begins("wizard")
    message = ticket_message(run.card(happening=TicketChange("T-412", "progress", 3, 3, "not done yet: 0 rows")))
    assert labels(message) == ["Done", "Stop After Step"]
    assert "Manual step, for an operator:* Open the wizard again." in said(message)
    assert "hvops checked:* not done yet: 0 rows" in said(message)
    assert message.text.startswith("T-412 is waiting for a manual step")


def test_an_interrupted_run_says_what_is_not_known(told):
    run = told().started().begins("drain").ends("drain").begins("restart")
    message = ticket_message(run.tells("interrupted", step="restart", number=2, known="vmms is stopped").card())
    text = said(message)
    assert message.blocks[0]["text"]["text"] == "Interrupted at step 2: someone must decide"
    assert "UNKNOWN: 2 Restart vmms on hv03" in text
    assert "vmms is stopped" in text
    assert "Outcome unknown:* step 2, Restart vmms on hv03, started <!date^" in text
    for fact in (
        "Done:* Pause",
        "Not started:* Reopen",
        "Way back:* Resume",
        "Locked until someone decides:* cluster prod",
    ):
        assert fact in text
    assert "Nothing resumes on its own." in text
    assert labels(message) == ["Check Again", "Go On…", "Undo…", "Close…"]


@pytest.mark.parametrize("hours", [0, 24])
def test_a_run_that_rests_on_an_answer_that_has_expired_does_not_offer_to_go_on(told, drained, hours):
    unknown = Gate("Room", GateOutcome.NOT_KNOWN, unknowns=(OpenQuestion("free space of crm-03", "timed out"),))
    whole = drained(gates=(unknown,))
    steps = (whole.groups[0].steps[0], *whole.groups[1].steps)
    run = told(drained(gates=(unknown,), groups=(Group("both", steps),)), open_questions=("free space of crm-03",))
    run.approved(answers=({"what": "free space of crm-03", "answer": "I looked"},))
    run.tells("started", locks=["cluster:prod"], attempt=1).begins("drain").ends("drain")
    run.now += timedelta(hours=hours)
    message = ticket_message(run.tells("interrupted", step="restart", number=2, known="it has expired").card())
    title = message.blocks[0]["text"]["text"]
    if hours:
        assert title == "Interrupted at step 2: an answer has expired"
        assert "It cannot go on with that answer. Undo it or close it" in said(message)
        assert labels(message) == ["Check Again", "Undo…", "Close…"]
    else:
        assert title == "Interrupted at step 2: someone must decide"
        assert labels(message) == ["Check Again", "Go On…", "Undo…", "Close…"]


@pytest.mark.parametrize(
    ("kind", "word", "buttons"),
    [
        ("rejected", "Rejected", []),
        ("withdrawn", "Withdrawn", []),
        ("expired", "Expired", ["Plan Again"]),
    ],
)
def test_a_proposal_that_came_to_nothing(told, kind, word, buttons):
    ticket = told()
    if kind == "expired":
        ticket.now = ticket.now.replace(hour=23, minute=58)
    message = ticket_message(
        ticket.tells_of(kind, "T0PRACTICE/U0APPROVER", name="approver", reason="not tonight").card()
    )
    assert message.blocks[0]["text"]["text"].startswith(word)
    assert "Nothing was done." in said(message)
    assert ("not tonight" in said(message)) == (kind != "withdrawn")  # whoever takes back gives no reason
    assert labels(message) == [*buttons, "History"]


def test_a_void_ticket_shows_the_difference_line_by_line(told):
    lines = ["- 1 Pause and drain hv03", "+ 1 Pause and drain hv04"]
    ticket = told().approved().tells("voided", reason="the plan made afresh is not the one", difference=lines)
    message = ticket_message(ticket.card(successor="T-413", successor_link="https://slack.test/p1"))
    for line in lines:
        assert line in said(message)
    assert "<https://slack.test/p1|T-413>" in said(message)
    assert labels(message) == ["History"]


def test_done_says_before_and_after_and_what_can_be_done_now(told, drained):
    plan = drained(
        current_state="[5] Unexpected error",
        expected_state="[1] Stable",
        remedies=(Remedy("Check Writers", "/check-writers hv03"),),
    )
    run = told(plan).approved().tells("started", locks=["cluster:prod"], attempt=1, measured="[7] Failed")
    run.begins("drain").ends("drain")
    done = ticket_message(run.tells("done", message="all steps are done", measured=["a is 1", "b is 2"]).card())
    assert done.blocks[0]["text"]["text"] == "Done: Drain node hv03"
    assert "*Before, <!date^1772492880^{time}|23:08 UTC>:* [7] Failed\n" in said(done)
    assert "*After, <!date^1772493060^{time}|23:11 UTC>:* a is 1; b is 2\n*Took:* 3 min" in said(done)
    assert "[1] Stable" not in said(done)
    assert "requested by <@U0OPERATOR> · approved by <@U0APPROVER>" in said(done)
    assert "Way back" not in said(done)
    assert labels(done) == ["Check Writers", "Undo…", "History"]


def test_a_run_whose_purpose_was_not_seen_is_not_called_done_without_more(told):
    measured = [f"{CHECK_RESULT}no guest is on hv03"]
    card = told().started().tells("done", message="all steps are done", measured=measured).card()
    done = ticket_message(card)
    assert done.blocks[0]["text"]["text"] == "Finished, check the result: Drain node hv03"
    assert "*After, <!date^1772492940^{time}|23:09 UTC>:* Check: no guest is on hv03" in said(done)
    assert "Finished, check the result" in said(entry_message(card, card.entries[-1]))


def test_after_is_not_measured_where_nothing_was_read(told, drained):
    plan = drained(current_state="[5] Unexpected error", expected_state="[1] Stable")
    done = ticket_message(told(plan).started().tells("done", message="done").card())
    assert "*Before, <!date^1772492760^{time}|23:06 UTC>:* [5] Unexpected error" in said(done)  # the plan's own look
    assert "*After, <!date^1772492940^{time}|23:09 UTC>:* not measured" in said(done)


@pytest.mark.parametrize(
    ("basis", "word"),
    [("", "done"), ("changed", "done"), ("already so", "was already done"), ("statement", "confirmed, not verified")],
)
def test_a_step_says_what_its_done_rests_on(told, basis, word):
    run = told().started().begins("drain").ends("drain", basis=basis)
    tasks = [task["title"] for block in ticket_message(run.card()).blocks for task in block.get("tasks", ())]
    assert tasks[0] == f"1 Pause and drain hv03: {word}"
    (line,) = [entry for entry in run.entries if entry.kind == "outcome"]
    assert f": {word}*" in said(entry_message(run.card(), line))


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ("no", "hvops checks it itself"),
        ("yes", "hvops cannot verify this (its check is already met), so it records your confirmation as unverified"),
        (
            "not known",
            "hvops cannot verify this (its state before is not known), so it records your confirmation as unverified",
        ),
    ],
)
def test_a_person_is_told_what_their_word_will_rest_on(told, held, says):
    run = told().started().begins("drain").ends("drain").begins("restart").ends("restart")
    assert says in said(ticket_message(run.begins("wizard", held_before=held).card()))
    heard = run.tells("step-confirmed", step="wizard", round=1)
    assert ("now checks it" in said(entry_message(heard.card(), heard.entries[-1]))) == (held == "no")


def test_a_group_that_was_taken_back_says_what_was_read(told):
    run = told().started().begins("drain").ends("drain", "failed")
    failed = run.tells("failed", step="drain", number=1, rolled_back=True, measured=["State was 2, is 0"])
    assert "hvops undid the steps of this group.\n*Measured after that:* State was 2, is 0" in said(
        ticket_message(failed.card())
    )


def test_before_and_after_are_not_said_of_what_failed(told, drained):
    run = (
        told(drained(current_state="[5]", expected_state="[1] Stable"))
        .started()
        .begins("drain")
        .ends("drain", "failed")
    )
    assert "Stable" not in said(ticket_message(run.tells("failed", step="drain", number=1, reason="no").card()))


def test_failed_says_what_is_true_now_what_is_half_done_and_the_way_back(told):
    run = told().started().begins("drain").ends("drain").begins("restart").ends("restart", "failed")
    failed = ticket_message(run.tells("failed", step="restart", number=2, reason="step 2: vmms hangs").card())
    assert failed.text == "T-412 FAILED AT STEP 2: Drain node hv03. step 2: vmms hangs"
    text = said(failed)
    for fact in (
        "as of ",
        "step 2: vmms hangs",
        "Done:* Pause and drain hv03",
        "Not started:* Reopen the wizard",
        "Way back:* Resume hv03 at any step",
        "3 Reopen the wizard: not started",
    ):
        assert fact in text
    assert labels(failed) == ["Check Again", "Plan Again", "Undo…", "History"]
    assert run.card().stopped_at.step.key == "restart"


def test_what_stays_of_a_group_that_was_undone_is_named_with_the_way_back(told):
    run = told().started().begins("drain").ends("drain").begins("restart").ends("restart", "failed")
    failed = run.tells(
        "failed", step="restart", number=2, reason="no", not_undone=["Pause hv03"], measured=["State was 2"]
    )
    text = said(ticket_message(failed.card()))
    for fact in (
        "*Not undone:* Pause hv03",
        "*Measured after that:* State was 2",
        "Way back:* Resume hv03 at any step",
    ):
        assert fact in text
    assert "hvops undid the steps" not in text


def test_what_was_taken_back_needs_no_way_back(told):
    run = told().started().begins("drain").ends("drain", "failed")
    text = said(ticket_message(run.tells("failed", step="drain", number=1, reason="no", rolled_back=True).card()))
    assert "hvops undid the steps of this group." in text
    assert "Way back" not in text


def test_stopped_and_closed_name_who_wanted_it(told):
    run = told().started().begins("drain").ends("drain")
    run.tells("cancel-asked", "T0PRACTICE/U0VIEWER", by="T0PRACTICE/U0VIEWER", name="viewer")
    stopped = said(
        ticket_message(run.tells("cancelled", number=2, reason="cancelled at step 2, before: Restart").card())
    )
    assert "by <@U0VIEWER>: before: Restart." in stopped
    other = told().started().begins("drain").tells("interrupted", step="drain", number=1, known="")
    other.tells("closed", "T0PRACTICE/U0APPROVER", by="T0PRACTICE/U0APPROVER", name="approver", reason="Done by hand.")
    closed = said(ticket_message(other.card()))
    assert "was closed by <@U0APPROVER>" in closed
    assert "Outcome unknown:* step 1, Pause and drain hv03." in closed


@pytest.mark.parametrize("state", ["proposed", "approved", "running", "interrupted", "done"])
def test_where_slack_refuses_blocks_the_buttons_stay_and_the_plan_is_a_file(told, state):
    ticket = told()
    if state != "proposed":
        ticket.approved()
    if state not in ("proposed", "approved"):
        ticket.tells("started", locks=["cluster:prod"], attempt=1).begins("drain")
    if state == "interrupted":
        ticket.tells("interrupted", step="drain", number=1, known="nothing")
    if state == "done":
        ticket.ends("drain").tells("done", message="done")
    message = ticket_message(ticket.card())
    step = message
    while step is not None and {block["type"] for block in step.blocks} - {"section", "actions"}:
        assert labels(step) == labels(message)
        step = downgrade(step)
    assert step is not None
    assert labels(step) == labels(message)
    assert "T-412" in said(step)
    assert not problems(step)
    assert [file.name for file in step.files] == (["plan.txt"] if state == "proposed" else [])
    if state == "proposed":
        assert ticket.card().proposal.digest in said(step)
        assert step.files[0].content.decode() == plan_text(ticket.card().proposal)


def test_a_copy_points_to_the_real_one_and_decides_nothing(told):
    message = copy_message("T-412", "https://slack.test/p1")
    assert message.text == "T-412 <https://slack.test/p1|is shown here>; this is only a copy of it."
    assert labels(message) == []
    assert "in another message" in copy_message("T-412", "").text


def test_the_thread_has_a_line_for_each_turn_with_its_entry(told):
    ticket = told().started().begins("drain", before=[{"State": "Up"}])
    ticket.ends("drain", message="", after=[{"State": "Paused"}], event_log_note="noted in the event log of hv03")
    ticket.tells("done", message="all steps are done")
    card = ticket.card()
    lines = [entry_message(card, entry) for entry in card.entries[1:]]
    told_ = [line.text for line in lines if line]
    assert told_[0].startswith("Approved by <@U0APPROVER>")
    assert "Before: State Up\nAfter: State Paused" in told_[1]
    assert "Step 1 of 3, Pause and drain hv03: done in 1 min" in told_[1]
    assert "(entry 1,304)" in told_[1]
    assert told_[2].startswith("<@U0OPERATOR> <@U0APPROVER> T-412 Done")
    assert card.proposal.digest in plan_message(card).text


def test_the_thread_shows_how_it_was_before_what_was_sent_and_not_before_what_was_held_back(told):
    ticket = told().started().begins("drain", before=[{"State": "Old"}])
    ticket.ends("drain", result="not sent", message="nothing was sent: changes are stopped")
    ticket.tells("resumed", by="bot", attempt=2).begins("drain", attempt=2, before=[{"State": "Up"}])
    ticket.ends("drain", attempt=2, message="", after=[{"State": "Paused"}])
    card = ticket.card()
    held, done = (entry_message(card, entry).text for entry in card.entries if entry.kind == "outcome")
    assert "Pause and drain hv03: NOT SENT.\n" in held
    assert "State Old" not in done
    assert "Before: State Up\nAfter: State Paused" in done


HOSTILE = st.one_of(
    st.text(max_size=80),
    st.sampled_from(["<!channel>", "<@U0EVIL>", "*" * 50, "\u202eevil", "a" * 4_000, "😀" * 1_500, "&" * 2_900]),
)
KEY = st.text(string.ascii_lowercase, min_size=1, max_size=6)


@st.composite
def hostile_plans(draw):
    count = draw(st.integers(1, 70))
    says, path = draw(HOSTILE), draw(HOSTILE)
    on = draw(HOSTILE)
    question = Wql(on, "root/cimv2", "Win32_Service")
    act = InvokeMethod(on, "root/cimv2", (("Name", path),), "Win32_Service", "StopService")
    steps = tuple(Step(f"s{at}", f"{says}{at}", act, (exists(question),)) for at in range(count))
    gates = tuple(
        Gate(draw(HOSTILE), GateOutcome.of(draw(st.booleans())), draw(HOSTILE), blocks=False)
        for _ in range(draw(st.integers(0, 3)))
    )
    return Plan(
        reason=draw(HOSTILE),
        current_state=draw(HOSTILE),
        expected_state=draw(HOSTILE),
        impact=draw(HOSTILE),
        rollback=draw(HOSTILE),
        locks=(draw(HOSTILE).replace("\0", "") or "lock",),
        gates=gates,
        groups=(Group("g", steps, times=draw(st.integers(1, 3)), title=draw(HOSTILE)),),
        evidence=(draw(HOSTILE),),
    )


@settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(plan=hostile_plans(), why=HOSTILE)
def test_whatever_a_plan_holds_it_is_shown_within_the_limits_and_never_cut(told, plan, why):
    stages = [told(plan)]
    stages.append(told(plan).approved())
    stages.append(told(plan).started().begins("s0"))
    stages.append(told(plan).started().begins("s0").tells("interrupted", step="s0", number=1, reason=why, known=why))
    stages.append(
        told(plan).started().begins("s0").ends("s0", "failed", message=why).tells("failed", number=1, reason=why)
    )
    stages.append(told(plan).started().begins("s0").ends("s0").tells("done", message=why))
    stages.append(told(plan).approved().tells("voided", reason=why, difference=[f"- {why}", f"+ {why}" * 5]))
    for stage in stages:
        card = stage.card(happening=TicketChange("T-412", "progress", 1, 1, why))
        message = ticket_message(card)
        assert not problems(message)
        assert not practice.message_problems(list(message.blocks))
        assert not practice.message_problems(list(message.instead.blocks))
        assert fit(message) == message
        assert "<!channel>" not in plain(message)
        assert "<@U0EVIL>" not in plain(message)
        for entry in card.entries:
            line = entry_message(card, entry)
            assert line is None or not problems(line)
    proposal = stages[0].card()
    message = ticket_message(proposal)
    shown = "\n".join(text for block in message.blocks for text in _raw(block))
    if message.files:
        assert message.files[0].name == "plan.txt"
        assert proposal.proposal.digest in shown
        assert "*Steps, " not in shown
    elif plan.groups[0].title and len(plan.steps) > 12:
        assert f"*1–{len(plan.steps)}* " in shown
    else:
        assert all(f"*{number}* " in shown for number in range(1, len(plan.steps) + 1))


def plain(message):
    return "\n".join(text for block in message.blocks for text in _raw(block)) + message.text


def _raw(block):
    if block["type"] == "context":
        yield from (one["text"] for one in block["elements"])
    elif block["type"] == "section":
        yield from (one["text"] for one in (block.get("text"), *block.get("fields", ())) if one)


NAMED_LIKE_A_TIME = "crm 10:00 UTC 01"


def test_a_machine_that_is_called_like_a_time_keeps_its_name_wherever_its_ticket_is_shown(told, drained):
    """In a heading it was “crm 01”, another machine, and below it “crm 11:00 AM 01”."""
    move = replace(drained().steps[0], description=f"Move {NAMED_LIKE_A_TIME} to hv02")
    plan = drained(title=f"Move {NAMED_LIKE_A_TIME} live", groups=(Group("drain", (move,)),))
    shown = [
        ticket_message(told(plan).card()),
        ticket_message(told(plan).approved().card()),
        ticket_message(told(plan).started().begins("drain").card()),
        ticket_message(told(plan).started().begins("drain").ends("drain").tells("done").card()),
    ]
    for message in shown:
        for block in message.blocks:
            words = plain_text([block])
            assert "Move crm" not in words.replace(NAMED_LIKE_A_TIME, "it")
        assert NAMED_LIKE_A_TIME in said(message)
    ended = told(plan).started().begins("drain").ends("drain").tells("done").card()
    for entry in ended.entries:
        line = entry_message(ended, entry)
        assert line is None or "Move crm" not in said(line).replace(NAMED_LIKE_A_TIME, "it")


def gated(**more):
    return {"gates": (replace(Gate("No guest is locked", GateOutcome.BLOCKED), **more),)}


IT = f"locked: {NAMED_LIKE_A_TIME}"
UNASKED = (OpenQuestion(f"free space of {NAMED_LIKE_A_TIME}", f"{NAMED_LIKE_A_TIME} gave no answer", f"Ask {IT}."),)


@pytest.mark.parametrize(
    "parts",
    [
        gated(measured=IT),
        gated(blocked=f"{NAMED_LIKE_A_TIME} is locked"),
        gated(description=f"{NAMED_LIKE_A_TIME} is not locked", blocks=False),
        gated(outcome=GateOutcome.NOT_KNOWN, measured=IT, unknowns=UNASKED),
        gated(
            outcome=GateOutcome.NOT_KNOWN,
            unknowns=UNASKED,
            not_known=f"nobody knows whether {NAMED_LIKE_A_TIME} is locked",
        ),
        gated(measured=IT, passes_at="2026-03-02T23:30:00+00:00"),
        {"impact": f"{NAMED_LIKE_A_TIME}, crm-02 move off and back"},
        {"rollback": f"Move {NAMED_LIKE_A_TIME} back"},
        {"reason": f"{NAMED_LIKE_A_TIME} waits."},
        {"current_state": f"up with {NAMED_LIKE_A_TIME}"},
        {"locks": (f"guest:{NAMED_LIKE_A_TIME}",)},
    ],
    ids=lambda parts: " ".join(map(str, parts)),
)
def test_a_machine_that_is_called_like_a_time_keeps_its_name_in_whatever_is_drawn_of_a_plan(parts, told, drained):
    plan = drained(**{"reason": f"It waits since 22:40 UTC [91:9]. {IT}", **parts})

    def ticket():
        return told(plan, open_questions=[one.what for one in plan.open_questions])

    drawn = [ticket_message(ticket().card())]
    drawn += (
        []
        if plan.open_questions
        else [  # else it takes answers
            ticket_message(
                ticket().started().begins("drain").card(happening=TicketChange("T-412", "progress", says=IT))
            ),
            ticket_message(ticket().started().begins("drain").tells("interrupted", reason=IT, known=IT).card()),
            ticket_message(ticket().started().begins("drain").ends("drain").tells("done", measured=[IT]).card()),
            entry_message(
                card := ticket().started().begins("drain").ends("drain", message=IT).card(), card.entries[-1]
            ),
        ]
    )
    assert any(NAMED_LIKE_A_TIME in said(message) for message in drawn)
    for message in drawn:
        words = said(message) + message.text
        assert "crm" not in words.replace(NAMED_LIKE_A_TIME, "it").replace("crm-02", "it")


def test_a_time_of_hvops_own_is_each_readers_beside_such_a_name(told, drained):
    plan = drained(reason=f"It is Pending since 22:40 UTC [91:9], with {NAMED_LIKE_A_TIME}.")
    assert "since <!date^" in said(ticket_message(told(plan).card()))


def test_rows_that_share_a_value_say_it_once_so_that_before_and_after_differ():
    rows = [{"guid": f"0CCE921{at}-69AE-11D9-BED3-505054503030", "name": at, "setting": "No Auditing"} for at in "ABC"]
    assert _image(rows) == "A; B; C (each: setting No Auditing)"
    assert _image([{**row, "setting": "Success"} for row in rows]) == "A; B; C (each: setting Success)"
    assert _image(rows[:1]) == f"guid {rows[0]['guid']}, name A, setting No Auditing"
    same = [{"id": row["guid"], "kind": "x"} for row in rows]
    assert rows[0]["guid"] in _image(same)  # what alone tells them apart stays
    assert _image([{"job": 1, "reason": "bad state.", "code": ""}]) == "job 1, reason bad state, code empty"
    assert _image([]) == "none"
