"""Evidence, refusals, progress, help, status, Home and what is shared."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.facts import Unknown
from bot.api.plan import Gate, GateOutcome, OpenQuestion, Plan
from bot.api.report import Finding, Report, Severity
from bot.dispatch.help import Help, HelpLine, Status
from bot.errors import InternalError, PermissionDenied, TargetTimeout, UsageError
from bot.serialization import Evidence
from bot.slack.outbound.blockkit_fitting import as_text
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.render.answer_modal import answer_view
from bot.slack.render.errors import refusal
from bot.slack.render.evidence import error_view, evidence_file, evidence_view, loading_view
from bot.slack.render.help import help_message, status_message
from bot.slack.render.home import LastAnswer, home_view, no_role_view
from bot.slack.render.progress import progress_message, started_message
from bot.slack.render.report import csv_file, shared_message, thread_messages
from lab.slack.limits import check_view

AT = datetime(2026, 3, 2, 22, 41, tzinfo=UTC)
STATUS = Status(
    "operator", (("operator", ("*",)),), ("/check-writers <cluster|host>",), (("Slack", "2 of 2"),), "entry 1285", "0.1"
)
HELP = Help(
    "operator",
    "operator",
    (
        HelpLine("/check-writers <cluster|host>", "Say which writers are stuck.", "viewer", allowed=True),
        HelpLine("/drain-node <host>", "Drain a node.", "approver", allowed=False),
    ),
)


@dataclass(frozen=True)
class HowFar:
    done: int
    total: int
    waiting: tuple[str, ...] = ()


def buttons(view):
    return [one["action_id"] for block in view["blocks"] if block["type"] == "actions" for one in block["elements"]]


def test_progress_in_words():
    assert started_message("/check-writers prod", 20).text == "Checking: /check-writers prod (up to 20 s)…"
    assert progress_message(HowFar(41, 64, ("crm-03",))).text == "41 of 64 answered, still waiting for crm-03."
    seven = tuple(f"hv0{at}" for at in range(7))
    assert progress_message(HowFar(0, 7, seven)).text.endswith("waiting for hv00, hv01, hv02, hv03, hv04 and 2 more.")
    assert progress_message(HowFar(7, 7)).text == "7 of 7 answered."
    assert "&lt;!channel&gt;" in progress_message(HowFar(0, 1, ("<!channel>",))).text


def test_refusals_in_words():
    told = refusal(UsageError("There is no prd.", "/check-writers <cluster|host>", ("prod",)))
    assert told.text == ("There is no prd. Did you mean: prod? Usage: /check-writers &lt;cluster|host&gt;")
    assert refusal(PermissionDenied("This needs the viewer role.")).text == "Not allowed. This needs the viewer role."
    assert "0badcafe" in refusal(InternalError("0badcafe")).text
    assert refusal(TargetTimeout("hv05", "no answer in 20 s.")).text == "hv05: no answer in 20 s."
    assert "&lt;!channel&gt;" in refusal(UsageError("There is no <!channel>.")).text


def test_evidence_pages_show_everything_or_point_to_the_file():
    evidence = tuple(Evidence(f"hv{at:02}", "vssadmin list writers", f"raw {at} " * 100) for at in range(60))
    first = evidence_view("prod", evidence, "t0ken")
    assert buttons(first) == ["hvops:evidence-page:1", "hvops:evidence-file"]
    shown, page = "", 0
    while True:
        view = evidence_view("prod", evidence, "t0ken", page)
        assert not problems(view)
        shown += json.dumps(view)
        page += 1
        if f"hvops:evidence-page:{page}" not in buttons(view):
            break
    assert all(f"*hv{at:02}:*" in shown for at in range(60))
    assert evidence_view("prod", evidence, "t0ken", 99) == evidence_view("prod", evidence, "t0ken", page - 1)


def test_a_long_answer_is_cut_only_with_a_pointer_to_the_file():
    evidence = (Evidence("hv01", "wevtutil", "x" * 50_000, "cut <off>"),)
    view = evidence_view("prod", evidence, "t0ken")
    assert "44,000 more characters: press Send as File." in json.dumps(view)
    assert b"x" * 50_000 in evidence_file("prod", evidence).content


def test_evidence_begins_with_what_failed_and_what_programs_printed():
    evidence = (
        Evidence("hv02", "ledger: writer of the last 72 hours", "0 samples in the ledger"),
        Evidence("hv03", "wevtutil qe System", ""),
        Evidence("prod", "root/MSCluster: SELECT Name", "<s:Envelope/>", rendered="Name: hv01"),
        Evidence("hv01", "vssadmin list writers", "Writer name"),
        Evidence("hv05", "vssadmin list writers", "", "no answer in 20 s."),
    )
    told = json.dumps(evidence_view("prod", evidence, "t0ken"))
    assert told.index("hv05") < told.index("Writer name") < told.index("Name: hv01")
    assert told.index("Name: hv01") < told.index("0 samples") < told.index("(empty)")
    assert "Envelope" not in told
    assert b"<s:Envelope/>" in evidence_file("prod", evidence).content


hostile = st.text(max_size=100) | st.sampled_from(["\x00" * 9_000, "\U0001f525" * 9_000, "<!channel>", "a\n" * 9_000])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.builds(Evidence, hostile, hostile, hostile, hostile), max_size=40).map(tuple), st.integers(-1, 9))
def test_any_evidence_is_within_the_limits(evidence, page):
    view = evidence_view("title", evidence, "t0ken", page)
    assert not problems(view)
    check_view(json.loads(json.dumps(view)), ("modal",))  # the practice Slack's own reading of the limits
    evidence_file("title", evidence).content.decode()


def test_modals_that_open_at_once():
    assert not problems(loading_view())
    assert not problems(error_view("x" * 9_000))


def test_help_and_status_in_words():
    told = as_text(help_message(HELP))
    assert "*/check-writers <cluster|host>*\nSay which writers are stuck." in told
    assert "*/drain-node <host>* needs the approver role" in told
    assert not problems(help_message(HELP))
    told = as_text(status_message(STATUS))
    assert "*You:* operator · roles: operator everywhere" in told
    assert not problems(status_message(STATUS))
    assert "*You may:* /check-writers (how to use them: /hvops help)" in told, (
        "what each takes would be a page on a phone"
    )
    assert "no role" in as_text(status_message(replace(STATUS, roles=(), may=())))


def test_home_for_somebody_and_for_nobody():
    last = [LastAnswer(f"t{at}", AT, "/check-writers prod", "hv03 STUCK " * 200) for at in range(30)]
    view = home_view(STATUS, HELP, last)
    check_view(view, ("home",))
    assert not problems(view)
    assert buttons(view)[0] == "hvops:typed:check-writers"
    assert "hvops:typed:drain-node" not in buttons(view)
    assert buttons(view).count("hvops:show") == 10
    empty = no_role_view("You have no role in hvops. Ask <!channel>.")
    check_view(empty, ("home",))
    assert not problems(empty)
    assert "You have no role" in json.dumps(empty)
    assert "<!channel>" not in json.dumps(empty)
    assert not buttons(empty)


def test_a_shared_report_has_one_reply_per_faulty_or_unknown_host(full_guests):
    message = shared_message(full_guests, "t", AT, "U1")
    assert "Shared by <@U1>" in as_text(message)
    replies = [reply.text.splitlines()[0] for reply in thread_messages(full_guests, AT)]
    assert [one.split(":")[0] for one in replies] == [
        "FULL test-tfs-01",
        "LOW sql-stage-02",
        "UNKNOWN crm-03",
        "UNKNOWN sap-old-01",
        "UNKNOWN sap-old-02",
    ]
    file = csv_file(full_guests.table, "/find-full-guests prod")
    assert file.name == "find-full-guests-prod.csv"


def test_a_thread_is_no_burst():
    findings = tuple(Finding(Severity.FAULT, "FULL", f"vm-{at}", "C: is full") for at in range(100))
    findings += (Finding(Severity.NOTE, "NOTE", "quiet", "nothing to do"),)
    report = Report("t", "s", "guests", 101, 100, findings, (Unknown("hv05", "timed out", "No answer."),))
    replies = thread_messages(report, AT)
    assert len(replies) == 20
    whole = "".join(as_text(one) for one in replies)
    assert all(f"vm-{at}:" in whole for at in range(100))
    assert "UNKNOWN hv05" in whole
    assert "quiet" not in whole


def test_the_window_that_asks_an_approver_says_times_in_the_readers_own_zone():
    """A label takes no date token: what has a time stands above its input, and the label leaves the time out."""
    question = OpenQuestion("freeze year-end until 5 Jan 2026 06:00 UTC", "asked by finance", is_override=True)
    gate = Gate("No freeze is in force", GateOutcome.NOT_KNOWN, unknowns=(question,))
    view = answer_view("T-1", Plan("", "", "", ("cluster:prod",), (gate,), ()))
    check_view(json.loads(json.dumps(view)), ("modal",))
    _, above, asked = view["blocks"]
    assert "*freeze year-end until <!date^1767592800^" in above["text"]["text"]
    assert asked["label"]["text"] == "freeze year-end"
    assert "UTC" not in asked["hint"]["text"]
