"""What a review finds, for whom, and what it never shows."""

import newer_version
import pytest
from entry_samples import entry_data

from bot.audit import filter_syntax
from bot.audit.rows import spelled
from bot.dispatch.authorization import Person
from bot.errors import PermissionDenied, UsageError
from bot.ledger import Filter, queries
from bot.ledger.dialect import SQLITE
from bot.ledger.filters import conditions

OPERATOR = "T1/U1"


def page(review, person, typed, clock, **more):
    return review.page(person, filter_syntax.read(typed), clock.now, **more)


def told_of(found):
    return [(row.ticket, row.what, row.target, row.asked_by[1], row.decided_by[1], row.outcome) for row in found.rows]


def test_a_question_a_refusal_and_a_change_are_one_row_each(told, review, everybody, clock):
    told.answers("check-writers", "prod", ["prod"])
    told.refuses("drain-node", "hv03")
    told.runs(told.proposes("drain-node", "hv03", ["prod"]), message="hv03 is drained")
    found = page(review, everybody, "prod", clock)
    assert told_of(found) == [
        ("T-1", "/drain-node", "hv03", "operator", "approver", "done"),
        ("", "/drain-node", "hv03", "nobody", "", "not allowed"),
        ("", "/check-writers", "prod", "operator", "", "answered"),
    ]
    assert found.counts == {"change": 1, "refusal": 1, "question": 1, "switch": 0}
    assert found.outcomes == {"done": 1, "not allowed": 1, "answered": 1}
    assert [row.why for row in found.rows] == ["hv03 is drained", "Not you.", "2 stuck"]
    assert not found.older


@pytest.mark.parametrize(
    ("typed", "rows"),
    [
        ("prod", ["too late", "T-2", "T-1", "not understood", "answered"]),
        ("hv03", ["too late", "T-1"]),
        ("HV01", ["T-2", "not understood"]),
        ("branch", ["T-3", "answered"]),
        ("T-1", ["too late", "T-1"]),
        ("--what drain-node", ["too late", "T-3", "T-2", "T-1"]),
        ("--who approver", ["T-2", "T-1"]),
        ("--who <@U2>", ["T-2", "T-1"]),
        ("--who U3", ["too late", "not understood"]),
        ("--who T1/U1 --outcome open", ["T-3"]),
        ("--outcome done", ["T-1"]),
        ("--outcome rejected", ["T-2"]),
        ("--outcome ended", ["T-2", "T-1"]),
        ("--outcome refused", ["too late", "not understood"]),
        ("--outcome not-understood", ["not understood"]),
        ("--outcome too-late", ["too late"]),
        ("--outcome not-allowed", []),
        ("--outcome no-plan", []),
        ("--outcome answered", ["answered", "answered"]),
        ("--outcome unanswered", ["unanswered"]),
        ("--until 2026-03-01", []),
    ],
)
def test_rows_are_narrowed(told, review, everybody, typed, rows):
    ledger, clock = told.ledger, told.clock
    told.answers("check-writers", "prod", ["prod"])
    told.answers("check-writers", "branch", ["branch"])
    told.refuses("check-writers", "hv01", kind="not understood")
    told.asks("check-writers", "nowhere")
    told.asks("hvops", "")  # about the bot itself: never answered in the ledger
    told.runs(told.proposes("drain-node", "hv03", ["prod"]))
    told.decides("rejected", told.proposes("drain-node", "hv01", ["prod"]), reason="Not now.")
    told.proposes("drain-node", "br01", ["branch"])
    ledger.append(
        "T1/U3", entry_data("refused", {"line": "approve T-1", "category": "too late", "reason": "Too late."}), "T-1"
    )
    ledger.append("T1/U1", entry_data("stop", {"name": "operator", "reason": "storm"}))
    found = page(review, everybody, typed, clock).rows
    assert [row.ticket if row.kind == "change" else row.outcome for row in found] == rows


def test_an_entry_without_a_name_shows_the_one_that_is_known_for_its_id(told, review, everybody, clock, ledger):
    told.answers("check-writers", "prod", ["prod"], name="")
    told.answers("check-writers", "prod", ["prod"], name="U1")  # the id once more is no name
    told.answers("check-writers", "prod", ["prod"], by="T1/U5", name="")
    assert [row.asked_by[1] for row in page(review, everybody, "", clock).rows] == ["U5", "U1", "U1"]
    told.answers("check-writers", "prod", ["prod"], name="olga")
    told.answers("check-writers", "prod", ["prod"], name="operator")
    rows = page(review, everybody, "", clock).rows
    assert [row.asked_by for row in rows] == [
        (OPERATOR, "operator"), (OPERATOR, "olga"), ("T1/U5", "U5"), (OPERATOR, "operator"), (OPERATOR, "operator")
    ]  # fmt: skip
    assert [row.seq for row in page(review, everybody, "--who olga", clock).rows] == [
        row.seq for row in rows if row.asked_by[0] == OPERATOR
    ]


@pytest.mark.parametrize(
    ("line", "via", "ticket", "says"),
    [
        ("/chek-writers prod", "slack", "", "/chek-writers"),
        ("/HVOPS Frob", "slack", "", "/hvops frob"),
        ("/hvops stop the storage burns", "", "", "/hvops stop"),
        ("chek-writers prod", "terminal", "", "/chek-writers"),
        ("/audit csv", "button", "", "/audit"),
        ("approve T-1", "button", "T-1", "press approve"),
        ("t-reject-why T-1", "button", "T-1", "press reject"),
        ("t-go-on", "button", "T-1", "press go on"),
        ("button csv", "button", "", "press csv"),
        ("story T-1", "button", "", "press story T-1"),
        ("confirm_manual_step T-1", "button", "T-1", "press confirm manual step"),
        ("", "slack", "", ""),
    ],
)
def test_what_was_wanted_has_one_spelling(line, via, ticket, says):
    assert spelled(line, via, ticket) == says


def test_a_switch_and_a_question_without_an_answer_are_shown(told, review, everybody, clock, ledger):
    ledger.append("T1/U1", entry_data("stop", {"name": "operator", "reason": "storm"}))
    told.asks("check-writers", "prod")
    assert [(row.what, row.outcome, row.why) for row in page(review, everybody, "", clock).rows] == [
        ("/check-writers", "unanswered", ""),
        ("/hvops stop", "stop", "storm"),
    ]


def test_an_old_ticket_to_which_something_happened_today_is_of_today(told, review, everybody, clock, ledger):
    ticket = told.proposes("drain-node", "hv03", ["prod"])
    told.answers("check-writers", "prod", ["prod"])
    clock.now = clock.now.replace(day=4)
    told.decides("rejected", ticket, reason="Not now.")
    assert [row.ticket for row in page(review, everybody, "", clock).rows] == ["T-1"]
    assert page(review, everybody, "--until 2026-03-02T11:00 --when 2h", clock).rows == ()


def test_pages_do_not_move_while_one_turns_them(told, review, everybody, clock):
    for number in range(45):
        told.answers("check-writers", f"hv{number}", ["prod"])
    before = told.asks("audit", "")
    told.answers("check-writers", "newer", ["prod"])
    pages = [page(review, everybody, "", clock, before=before, number=number) for number in range(3)]
    targets = [row.target for one in pages for row in one.rows]
    assert targets == [f"hv{number}" for number in reversed(range(45))]
    assert [one.older for one in pages] == [True, True, False]
    assert {one.counts["question"] for one in pages} == {45}


def test_counting_ends_somewhere_and_says_so(told, review, everybody, clock, monkeypatch):
    monkeypatch.setattr("bot.audit.query.COUNTED", 3)
    for _ in range(3):
        told.refuses("x", "prod")
    assert not page(review, everybody, "", clock).at_least
    told.refuses("x", "prod")
    assert page(review, everybody, "", clock).at_least


def test_who_may_see_one_cluster_sees_nothing_of_another(told, review, of_prod, clock, ledger):
    told.answers("check-writers", "prod", ["prod"])
    told.answers("check-writers", "branch", ["branch"])
    told.answers("find-missing-vms", "vmm01", ["prod", "branch"])
    told.answers("audit", "", [])
    told.refuses("drain-node", "hv03")
    told.refuses("drain-node", "br01")
    told.refuses("drain-node", "no-such-host")
    told.refuses("drain-node", "br01", by=of_prod.id, name="viewer")
    told.runs(told.proposes("drain-node", "hv03", ["prod"]))
    branch = told.proposes("drain-node", "br01", ["branch"])
    both = told.proposes("fix-missing-vm", "vmm01", ["prod", "branch"])
    told.refuses("approve", "T-2", ticket=branch)
    told.refuses("approve", "hv03", ticket=both)  # what it is about is the ticket's, whatever it says
    found = page(review, of_prod, "", clock)
    assert [(row.what, row.target, row.asked_by[1]) for row in found.rows] == [
        ("/drain-node", "hv03", "operator"),
        ("/drain-node", "br01", "viewer"),  # refused to themselves
        ("/drain-node", "hv03", "nobody"),
        ("/check-writers", "prod", "operator"),
    ]
    assert sum(found.counts.values()) == 4
    assert [row.target for row in review.iter_all(of_prod, filter_syntax.read(""), clock.now)] == [
        "hv03",
        "br01",
        "hv03",
        "prod",
    ]


def test_a_name_that_only_looks_like_one_of_ours_is_not_seen(told, review, of_prod, clock):
    told.answers("check-writers", "x", ["prod2"])
    told.answers("check-writers", "x", ["%"])
    told.refuses("drain-node", "hv03 br01")
    told.refuses("drain-node", "")
    assert page(review, of_prod, "", clock).rows == ()


@pytest.mark.parametrize("typed", ["branch", "br01", "vmm01", "--who x branch", "somewhere"])
def test_whoever_asks_for_another_place_is_refused(review, of_prod, clock, typed):
    with pytest.raises(PermissionDenied):
        page(review, of_prod, typed, clock)


def test_nobody_sees_nothing(review, clock):
    nobody = Person("T1/U8", "nobody", {})
    for ask in (lambda: page(review, nobody, "", clock), lambda: review.recently_ended(nobody, 10)):
        with pytest.raises(PermissionDenied):
            ask()


def test_a_story_is_for_those_who_may_see_all_of_its_places(told, review, everybody, of_prod):
    told.runs(told.proposes("drain-node", "hv03", ["prod"]))
    told.proposes("fix-missing-vm", "vmm01", ["prod", "branch"])
    assert [one.kind for one in review.story(of_prod, "T-1")] == [
        *("proposed", "approved", "started", "intent", "outcome", "done")
    ]
    assert review.story(everybody, "T-2")
    with pytest.raises(UsageError, match=r"There is no ticket “T-99”\.$") as refused:
        review.story(everybody, "T-99")
    assert "T-412" in refused.value.usage, "the whole usage, not only /audit"


def test_a_ticket_that_one_may_not_see_is_none(told, review, of_prod, everybody, clock):
    """Neither the sentence nor its kind says whether there is one elsewhere."""
    told.proposes("drain-node", "hv03", ["prod"])
    told.proposes("fix-missing-vm", "vmm01", ["prod", "branch"])
    said = set()
    for ticket in ("T-2", "T-99"):
        for ask in (lambda one: review.story(of_prod, one), lambda one: page(review, of_prod, one, clock)):
            with pytest.raises(UsageError) as refused:
                ask(ticket)
            said.add(str(refused.value).replace(ticket, "T-?"))
    assert said == {"There is no ticket “T-?” that you may see."}
    assert [row.ticket for row in page(review, of_prod, "t-1", clock).rows] == ["T-1"]
    with pytest.raises(UsageError, match="There is no ticket “T-99”"):
        page(review, everybody, "T-99", clock)


def test_the_last_outcomes_are_those_one_may_see(told, review, everybody, of_prod):
    told.runs(told.proposes("drain-node", "hv03", ["prod"]))
    told.runs(told.proposes("drain-node", "br01", ["branch"]), "failed", reason="hv03 is still paused")
    told.proposes("drain-node", "hv01", ["prod"])
    assert [(row.ticket, row.outcome) for row in review.recently_ended(everybody, 10)] == [
        ("T-2", "failed"),
        ("T-1", "done"),
    ]
    assert [row.ticket for row in review.recently_ended(of_prod, 10)] == ["T-1"]
    assert [row.ticket for row in review.recently_ended(everybody, 1)] == ["T-2"]


def test_an_unknown_place_gets_names_that_look_like_it(told, review, everybody, clock):
    told.answers("check-writers", "prod", ["prod"])
    assert page(review, everybody, "prd", clock).hint == "There is no “prd” in the inventory. Did you mean prod?"
    assert page(review, everybody, "24h", clock).hint == "There is no “24h” in the inventory."
    assert page(review, everybody, "br01", clock).hint == ""


def test_hostile_words_are_values_and_nothing_else(told, review, everybody, clock, ledger):
    told.answers("check-writers", "prod", ["prod"])
    for word in ("' OR 1=1 --", "%", "_", '"]', "\\", "prod'); DROP TABLE entry; --"):
        wanted = filter_syntax.AuditQuery(about=word, who=word, what=word)
        assert review.page(everybody, wanted, clock.now).rows == ()
        assert ledger.find(Filter(target=word, who=word, command=word)) == []
    assert ledger.verify().holds


def test_names_are_found_by_index(told, ledger):
    said = conditions(SQLITE)
    told.answers("check-writers", "prod", ["prod"])
    for sql in (
        f"SELECT {said.name}, max(seq) FROM entry WHERE {said.named} AND actor = ? GROUP BY {said.name}",
        f"SELECT actor FROM entry WHERE {said.named} AND lower({said.name}) = lower(?)",
    ):
        plan = [row[3] for row in ledger._reader.rows(f"EXPLAIN QUERY PLAN {sql}", ("x",))]
        assert any("entry_person" in step for step in plan), plan


def test_lists_find_their_tickets_by_index(told, review, everybody, clock, ledger):
    """Neither a list of open tickets nor a day reads every entry: SQLite's own plan says how it looks."""
    plans = []
    for wanted in (filter_syntax.read("--outcome open --when all"), filter_syntax.read("")):
        sql, values = queries._begun(ledger._reader, wanted.filter(clock.now))
        rows = ledger._reader.rows(f"EXPLAIN QUERY PLAN SELECT 1 {sql} ORDER BY number DESC LIMIT 20", values)
        plans.append([row[3] for row in rows])
    for plan in plans:
        assert not [step for step in plan if step == "SCAN entry" or step.startswith("SCAN entry ")]
    assert any("USING INDEX ticket_state" in step for step in plans[0])
    assert any("entry_kind (kind=? AND at>?" in step for step in plans[1])


def test_one_row_that_a_newer_version_wrote_is_shown_as_unreadable_among_the_others(
    told, review, everybody, clock, ledger
):
    told.answers("check-writers", "prod", ["prod"])
    sick = told.proposes("drain-node", "hv03", ["prod"])
    refusal = {"line": "/drain-node hv01", "reason": "Later.", "category": "novel", "name": "nobody"}
    numbers = [
        newer_version.write(ledger, "asked", {"line": "/check-cpu hv03", "target": "hv03", "novel": 1}, actor="T1/U1"),
        newer_version.write(ledger, "refused", refusal, actor="T1/U3"),
        newer_version.write(ledger, "stop", {"reason": "storm", "novel": 1}, actor="T1/U1"),
    ]
    newer_version.add_field(ledger, ledger.story(sick)[0])
    (proposed,) = ledger.story(sick)
    rows = page(review, everybody, "", clock).rows
    doubt = "cannot be read by this version of hvops"
    assert [(row.what, row.outcome) for row in rows] == [
        ("/hvops stop", "stop"),
        (f"/drain-node hv01; entry {numbers[1]} {doubt}", "unreadable"),
        (f"/check-cpu hv03; entry {numbers[0]} {doubt}", "unreadable"),
        (f"/drain-node hv03; entry {proposed.seq} {doubt}", "proposed"),
        ("/check-writers", "answered"),
    ]
    assert list(review.iter_all(everybody, filter_syntax.read(""), clock.now)) == list(rows)
