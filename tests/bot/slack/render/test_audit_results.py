"""What `/audit` answers: at a glance, whatever names and reasons stand in the ledger, and never cut without saying so."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.audit import filter_syntax
from bot.audit.query import COUNTED, PAGE, AuditPage
from bot.audit.rows import Row
from bot.dispatch.help import Help, HelpLine, Status
from bot.ledger import ChainStatus, Entry
from bot.slack.outbound.blockkit_fitting import as_text, downgrade, fit, weaker_view
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.render.audit_results import AuditAnswer, audit_csv, audit_message, filter_view, headline, line_of
from bot.slack.render.home import RecentChanges, home_view
from bot.slack.render.ticket_history import error_view, loading_view, story_file, story_view
from lab.slack.limits import check_message, check_view

AT = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
HOLDS = ChainStatus(1310, AT, 1310, AT, anchored=True)
COUNTS = {"change": 2, "refusal": 1, "question": 7, "switch": 0}
CHANGE = Row(
    *(1290, "2026-03-02T23:05:02.000Z", "change", "T-412", "/reset-writer", "/reset-writer hv03", "hv03"),
    *(("T1/U1", "operator"), ("T1/U2", "approver"), "approved", "done", "hv03 is stable"),
)
REFUSAL = replace(CHANGE, seq=1288, kind="refusal", ticket="", decided_by=("", ""), outcome="not allowed")
OUTCOMES = {"answered": 6, "done": 2, "no plan": 1, "not allowed": 1}
HOSTILE = "<!channel> *b* _i_ <https://evil.example|Approve> \u202e\x00 &amp; `x`"


def audited(typed="prod", rows=(CHANGE, REFUSAL), chain=HOLDS, **more):
    told = {"number": 0, "older": False, "counts": COUNTS, "outcomes": OUTCOMES, "at_least": False, **more}
    return AuditAnswer("t0ken", filter_syntax.read(typed), AuditPage(tuple(rows), **told), chain)


def buttons(view):
    return [one for block in view if block["type"] == "actions" for one in block["elements"]]


def test_the_headline_says_it_all():
    message = audit_message(audited())
    assert message.text == "Audit prod, 24 h: 2 changes, 1 refusal, 7 questions"
    told = as_text(message)
    assert "Chain verified 23:30 UTC to entry 1310, newest anchor matches · where: prod" in told
    assert "2026-03-02 23:05 UTC\t/reset-writer\thv03\tdone\thv03 is stable\tT-412\toperator\tapprover" in told
    assert "6 answered · 2 done · 1 no plan · 1 not allowed" in told
    assert [one["text"]["text"] for one in buttons(message.blocks)] == ["History T-412", "Filter…", "Send CSV"]
    assert not problems(message)
    check_message(json.loads(json.dumps(message.blocks)))


@pytest.mark.parametrize(
    ("typed", "counts", "says"),
    [
        ("", {"question": 1}, "Audit, 24 h: 1 question"),
        ("prod --when 7d", {"change": 1, "question": 0}, "Audit prod, 7 d: 1 change, 0 questions"),
        ("T-412", {"change": 1, "refusal": 2}, "Audit T-412, all: 1 change, 2 refusals, 0 questions"),
        ("--since 2026-03-01", {"switch": 1}, "Audit, since 2026-03-01: 0 questions, 1 stop or go"),
    ],
)
def test_headlines(typed, counts, says):
    assert headline(audited(typed, counts=counts)) == says


def test_more_than_is_counted_is_said():
    assert headline(audited(at_least=True)).startswith(f"Audit prod, 24 h: more than {COUNTED:,}, the newest of them")


def test_what_was_looked_at_when_is_all_that_is_claimed():
    earlier = AT - timedelta(minutes=45)
    told = as_text(audit_message(audited(chain=replace(HOLDS, whole_to=1_200, whole_at=earlier, anchored=None))))
    assert "to entry 1310, to 1200 22:45 UTC, no anchor to compare with" in told
    assert "could not be checked" in as_text(audit_message(audited(chain=None)))


def test_a_broken_chain_comes_before_everything():
    broken = replace(HOLDS, to=870, broken_at=871, says="it does not match its mac <!channel>")
    message = audit_message(audited(chain=broken))
    assert message.text == message.blocks[0]["text"]["text"] == "AUDIT CHAIN BROKEN at entry 871"
    told = as_text(message)
    assert "Entries 1 to 870 hold. Nothing below is verified." in told
    assert "verified" not in told.partition("Entry 871")[0]
    assert "T-412" in told
    home = home_view(STATUS, HELP, [], (), RecentChanges((CHANGE,), broken, "read-write"))
    assert home["blocks"][0]["text"]["text"] == "AUDIT CHAIN BROKEN at entry 871"


def test_pages_have_their_buttons():
    first = buttons(audit_message(audited(rows=[CHANGE] * PAGE, older=True)).blocks)
    assert [one["action_id"] for one in first][-3:] == ["hvops:audit-page:1", "hvops:audit-filter", "hvops:audit-csv"]
    second = buttons(audit_message(audited(number=1, older=True)).blocks)
    assert [one["action_id"] for one in second][1:3] == ["hvops:audit-page:0", "hvops:audit-page:2"]
    assert {one["value"] for one in second} == {"T-412", "t0ken"}


def test_an_empty_page_says_what_to_do():
    message = audit_message(
        audited("prd", rows=(), counts={}, hint="There is no “prd” in the inventory. Did you mean prod?")
    )
    assert "Nothing on this page. There is no “prd” in the inventory. Did you mean prod? Press Filter…" in as_text(
        message
    )
    assert [one["text"]["text"] for one in buttons(message.blocks)] == ["Filter…"]


def test_every_step_down_still_says_it():
    message = fit(audit_message(audited(rows=[CHANGE] * PAGE)))
    while (lower := downgrade(message)) is not None:
        message = lower
        everything = as_text(message) + "".join(file.content.decode() for file in message.files)
        assert "reset-writer" in everything
        assert message.text == "Audit prod, 24 h: 2 changes, 1 refusal, 7 questions"


text = st.text(max_size=20) | st.sampled_from([HOSTILE, "x" * 700, "\U0001f525" * 400, "=1+1", "\n" * 50])
person = st.tuples(text, text)
outcomes = st.sampled_from(["done", "not understood"]) | text
rows = st.builds(
    Row,
    st.integers(1, 10**9),
    st.just(CHANGE.at),
    st.sampled_from(["change", "refusal", "question", "switch"]),
    st.integers(1, 10**6).map("T-{}".format) | st.just(""),
    *(text, text, text, person, person, outcomes, outcomes, text),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(rows, max_size=5), text, text)
def test_any_rows_are_within_the_limits_and_ring_for_nobody(found, about, says):
    chain = replace(HOLDS, broken_at=5, says=says) if says else HOLDS
    wanted = filter_syntax.AuditQuery(about=about, who=says, what=about, outcome="done")
    page = AuditPage(tuple(found), 0, older=True, counts=COUNTS, outcomes=OUTCOMES, at_least=False, hint=says)
    message = fit(audit_message(AuditAnswer("t0ken", wanted, page, chain)))
    assert not problems(message)
    check_message(json.loads(json.dumps(message.blocks)))
    mrkdwn = [one["text"] for one in texts_of(message.blocks) if one["type"] == "mrkdwn"]
    assert not [one for one in (*mrkdwn, message.text) if "<!channel" in one or "<https" in one]
    assert not problems(filter_view("t0ken", wanted, ["drain-node"]))
    file, _ = audit_csv(wanted, found)
    file.content.decode("utf-8-sig")
    assert "/" not in file.name


def texts_of(node):
    if isinstance(node, list | tuple):
        for one in node:
            yield from texts_of(one)
    elif isinstance(node, dict):
        if node.get("type") in ("mrkdwn", "plain_text"):
            yield node
        for one in node.values():
            yield from texts_of(one)


def test_a_file_that_does_not_hold_all_says_so(monkeypatch):
    monkeypatch.setattr("bot.slack.render.audit_results.MOST_IN_CSV", 2)
    assert audit_csv(filter_syntax.read(""), [CHANGE] * 2)[1] == 0
    file, more = audit_csv(filter_syntax.read(""), [CHANGE] * 3)
    assert more == 1
    assert len(file.content.splitlines()) == 3


def test_the_window_of_filters_shows_what_was_asked_and_asks_for_it_again():
    wanted = filter_syntax.read("prod --who U02 --what drain-node --outcome failed --when 3d --until 2026-03-01")
    view = filter_view("t0ken", wanted, ["check-writers", "drain-node"])
    check_view(view, ("modal",))
    assert not problems(view)
    shown = {}
    for block in view["blocks"]:
        element = block["element"]
        picked = element.get("initial_date_time")
        at = datetime.fromtimestamp(picked, UTC).isoformat() if picked else ""
        shown[block["block_id"]] = element.get("initial_value") or element.get("initial_option", {}).get("value", at)
    assert filter_syntax.read(line_of(shown.items()).removeprefix("/audit")) == wanted
    assert view["private_metadata"] == "t0ken"
    assert line_of([("about", ""), ("who", " ")]) == "/audit"
    assert line_of([("when", "24h"), ("since", "2026-03-01")]) == "/audit --since=2026-03-01"
    plain = {
        block["block_id"]: block["element"]
        for block in filter_view("t0ken", filter_syntax.read(""), ["drain-node"])["blocks"]
    }
    assert plain["when"]["initial_option"]["value"] == "24h"
    assert "initial_option" not in plain["outcome"]


def test_a_story_has_every_entry_with_what_was_so_before_and_after(told):
    ticket = told().started().begins("drain", before=[{"Name": "hv03", "State": 0}])
    entries = ticket.ends(
        "drain", after=[{"Name": "hv03", "State": 2}], message="11 of 11 moved", event_log_note="event 412"
    ).entries
    view = story_view("T-412", entries)
    check_view(view, ("modal",))
    large = [block["text"]["text"] for block in view["blocks"] if block["type"] == "section"]
    small = [one["text"] for block in view["blocks"] if block["type"] == "context" for one in block["elements"]][1:]
    shown = sorted(
        (one for one in (*large, *small) if one.split("*")[1].isdecimal()), key=lambda one: one.split("*")[1]
    )
    assert [one.split("*")[1] for one in shown] == [str(entry.seq) for entry in entries]
    assert "Steps:* 1 Pause and drain hv03\n2 Restart vmms on hv03" in large[0]
    assert "<@U0APPROVER>" in large[1]
    assert "step 1, Pause and drain hv03: done" in large[2]
    assert [one for one in large if "Before" in one or "After" in one or "Checked" in one] == []
    assert (
        "*Checked:* 1 of 2 checks passed\nFailed: This check failed: No other node is paused (hv05 is paused)"
        in small[0]
    )
    assert "*step started*" in small[2]
    assert "*Before:* Name hv03, State 0" in small[3]
    assert "*After:* Name hv03, State 2" in small[4]
    assert view["title"]["text"] == "History T-412"
    whole = story_file("T-412", entries).content.decode()
    assert "does: hv03: root/MSCluster MSCluster_Node[Name='hv03'].Pause(DrainType=1)" in whole
    assert all('data: {"' in part for part in whole.split("\n\n")[1:])


def test_what_was_pressed_and_posted_is_shown_where_it_is_asked_for(told):
    entries = told().tells("clicked", "T0PRACTICE/U0APPROVER", button="t-approve", name="approver").approved().entries
    view = story_view("T-412", entries)
    assert "pressed approve" not in json.dumps(view)
    assert "1 about presses and messages not shown" in json.dumps(view)
    (more,) = [one for one in buttons(view["blocks"]) if one["text"]["text"] == "All Entries"]
    assert (more["action_id"], more["value"]) == ("hvops:t-story-all:0", "T-412")
    whole = story_view("T-412", entries, whole=True)
    assert "pressed approve" in json.dumps(whole)
    assert "All Entries" not in json.dumps(whole)
    assert "pressed approve" in story_file("T-412", entries).content.decode()


def test_a_long_story_is_paged_and_a_long_text_points_to_the_file(told):
    ticket = told().started()
    for number in range(60):
        ticket.tells("refused", line=f"approve {number}", reason="z" * 3_000)
    pages, at = [], 0
    while not at or f"hvops:t-story-page:{at}" in {one["action_id"] for one in buttons(pages[-1]["blocks"])}:
        pages.append(story_view("T-412", ticket.entries, at))
        at += 1
    assert len(pages) > 2
    shown = json.dumps(pages)
    assert all(f"*{entry.seq}* " in shown for entry in ticket.entries)
    assert "1,800 more characters: Send as File" in shown
    assert "z" * 3_000 in story_file("T-412", ticket.entries).content.decode()
    assert not [one for one in pages if problems(one)]
    assert story_view("T-412", ticket.entries, 99) == pages[-1]


KINDS = ["proposed", "approved", "started", "intent", "outcome", "voided", "interrupted", "clicked", "shown", "strange"]
values = st.recursive(st.none() | st.integers() | text, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
NAMES = [
    "reason",
    "message",
    "before",
    "after",
    "known",
    "difference",
    "locks",
    "open_until",
    "name",
    "plan",
    "round",
    "event_log_note",
]
data = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)
hostile_entries = st.builds(
    lambda seq, kind, actor, told_data: Entry(seq, f"id-{seq}", CHANGE.at, kind, actor, "T-412", told_data, bytes(32)),
    *(st.integers(1, 10**9), st.sampled_from(KINDS), text, data),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(hostile_entries, max_size=6), st.integers(-1, 5))
def test_any_story_is_within_the_limits_and_escaped(entries, page):
    view = story_view("T-412", entries, page)
    assert not problems(view)
    check_view(json.loads(json.dumps(view)), ("modal",))
    assert not [one for one in texts_of(view["blocks"]) if "<!channel" in one["text"] or "<https" in one["text"]]
    story_file("T-412", entries).content.decode()


def test_windows_that_open_at_once():
    for view in (loading_view(), error_view("x" * 9_000)):
        check_view(view, ("modal",))


STATUS = Status("viewer", (("viewer", ("prod",)),), (), (("Slack", "2 of 2"),), "entry 1310", "0.1")
HELP = Help("viewer", "viewer", (HelpLine("/check-writers <cluster>", "Say.", "viewer", allowed=True),))


def test_home_shows_the_last_outcomes_and_how_the_ledger_is():
    view = home_view(STATUS, HELP, [], (), RecentChanges((CHANGE,) * 10, HOLDS, "read-write"))
    check_view(view, ("home",))
    assert not problems(view)
    table = next(block for block in view["blocks"] if block["type"] == "data_table")
    assert len(table["rows"]) == 11
    told = json.dumps(view["blocks"], ensure_ascii=False)
    assert "*You:* viewer on prod · *Bot:* read-write" in told
    assert "to entry 1310, newest anchor matches" in told
    ids = [one["action_id"] for one in buttons(view["blocks"])]
    assert ids[:2] == ["hvops:typed:check-writers", "hvops:audit"]
    lower = weaker_view(view)
    assert "reset-writer" in json.dumps(lower)
    assert "data_table" not in json.dumps(lower)
    assert not problems(lower)
    assert weaker_view(lower) is None


def test_a_table_is_for_home_and_never_for_a_window():
    view = home_view(STATUS, HELP, [], (), RecentChanges((CHANGE,), HOLDS))
    assert problems({**view, "type": "modal", "title": {"type": "plain_text", "text": "x"}})


def test_nobody_gets_no_audit_button_on_home():
    view = home_view(replace(STATUS, roles=()), Help("nobody", "no role", ()), [], (), None)
    assert "hvops:audit" not in [one["action_id"] for one in buttons(view["blocks"])]
