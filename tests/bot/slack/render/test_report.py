"""Reports as messages: whole messages for the known situations, and whatever hypothesis throws at the renderer."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.api.facts import Unknown
from bot.api.report import Bar, Chart, Column, Finding, Healthy, Remedy, Report, Severity, Table
from bot.redaction import Redactor
from bot.slack.outbound.blockkit_fitting import as_text, downgrade, fit
from bot.slack.outbound.blockkit_validation import problems
from bot.slack.outbound.local_times import local_message
from bot.slack.outbound.message import Message, escape_control, unescape
from bot.slack.render.report import asking_message, report_message, report_text, thread_messages
from bot.slack.render.tables_and_charts import chart_blocks, csv_bytes, table_blocks
from lab.slack.limits import check_message
from lab.slack.plain_text import plain_text

AT = datetime(2026, 3, 2, 22, 41, tzinfo=UTC)
TIME = "<!date^1772491260^{time}|22:41 UTC>"

nasty = st.sampled_from(
    [
        "",
        " ",
        "<!channel>",
        "<@U0VICTIM>",
        "&lt;&amp;>",
        "a" * 4_000,
        "\U0001f525" * 4_000,
        "x y " * 1_000,
        "\u202egnp.exe",
        "\ud800",
        "line\nbreak",
        "=cmd|' /C calc'!A0",
        "*_~`",
    ]
)
words = st.one_of(nasty, st.text(max_size=200), st.from_regex(r"[a-z]{2,4}-[0-9]{2}", fullmatch=True))
severities = st.sampled_from(list(Severity))
findings = st.builds(Finding, severities, words, words, words, st.lists(st.tuples(words, words), max_size=4).map(tuple))
unanswered = st.builds(Unknown, words, words, words, words)
columns = st.builds(Column, words, st.sampled_from(["text", "number"]), words)
cells = st.one_of(words, st.integers().map(str), st.just(""), st.just("nan"), st.just("१"))


@st.composite
def tables(draw):
    width = draw(st.integers(0, 24))
    head = draw(st.lists(columns, min_size=width, max_size=width).map(tuple))
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width).map(tuple), max_size=4))
    return Table(draw(words), head, tuple(rows * draw(st.sampled_from([1, 1, 60]))))


charts = st.builds(
    Chart,
    words,
    words,
    st.lists(st.builds(Bar, words, st.integers(0, 10_000)), max_size=25).map(tuple),
    st.lists(st.tuples(words, st.integers(0, 100)), max_size=2).map(tuple),
)


def _tuples(strategy, most):
    return st.lists(strategy, max_size=4).flatmap(
        lambda some: st.sampled_from([1, 1, most]).map(lambda times: tuple(some * times))
    )


reports = st.builds(
    Report,
    title=words,
    summary=words,
    of=words,
    asked=st.integers(0, 2_000),
    answered=st.integers(0, 2_000),
    findings=_tuples(findings, 30),
    unanswered=_tuples(unanswered, 30),
    fine=_tuples(st.builds(Healthy, words, st.lists(words, max_size=3).map(tuple), words), 10),
    notes=_tuples(words, 10),
    chart=st.none() | charts,
    table=st.none() | tables(),
    remedies=st.lists(st.builds(Remedy, words, words, st.booleans()), max_size=30).map(tuple),
)


def said(message):
    return [unescape(part["text"]) for block in message.blocks for part in _texts(block)]


def _texts(block):
    if block["type"] in ("header", "section"):
        yield block["text"]
    if block["type"] == "context":
        yield from block["elements"]


def buttons(message):
    return [
        (one["text"]["text"], one["action_id"], one.get("value"), one.get("style"))
        for block in message.blocks
        if block["type"] == "actions"
        for one in block["elements"]
    ]


def test_a_cell_and_a_bar_that_are_a_secret_are_no_numbers():
    """A mask would leave no number of them, and Slack would take no block of the message."""
    mask = Redactor(["20261130", "0012345"])
    cells = ("20261130", "20261130.5", "0012345", "12345", "7.5", "8")
    table = Table(
        "Free",
        (Column("Guest"), Column("Free", "number", "GB")),
        tuple((f"g{at}", one) for at, one in enumerate(cells * 3)),
    )
    chart = Chart("Free", "GB", (Bar("a", 202_611_300), Bar("b", 5)))
    blocks = mask.redact_data([*table_blocks(table), *chart_blocks(chart)])
    (block,) = blocks
    assert [row[1].get("value", row[1]["text"]) for row in block["rows"][1:7]] == [
        "[masked]",
        "[masked].5",
        "[masked]",
        "[masked]",
        7.5,
        8,
    ]
    assert not problems(Message("x", tuple(blocks)))
    assert "20261130" not in mask.redact_bytes(csv_bytes(table)).decode()
    assert len(chart_blocks(replace(chart, bars=chart.bars[1:]))) == 1
    assert chart_blocks(replace(chart, bars=chart.bars[1:], thresholds=(("minimum", 202_611_300),))) == ()


def test_stuck_writer_whole(stuck_writer):
    message = report_message(stuck_writer, "t0ken", AT)
    assert said(message) == [
        "prod: Hyper-V writer STUCK on hv03",
        f"5 of 6 nodes answered · {TIME} · only you see this",
        (
            "*STUCK hv03:* Microsoft Hyper-V VSS Writer\n"
            "[5] Waiting for completion · Retryable error. No backup is running.\n"
            "*Means:* the next backup of hv03 is expected to fail for all 11 guests.\n"
            "*Suspect:* test-tfs-01 (event 10102, 22:14)\n"
            "*Next:* free space in the guest first."
        ),
        "*UNKNOWN hv05:* No answer in 20 s. Not counted as healthy.",
        "STABLE: hv01 hv02 hv04 hv06 (11 writers each)",
    ]
    assert [block["type"] for block in message.blocks] == [
        "header",
        "context",
        "section",
        "section",
        "context",
        "actions",
    ]
    assert buttons(message) == [
        ("Find Full Guests", "hvops:run:0", "t0ken", "primary"),
        ("Check Again", "hvops:look-again", "t0ken", None),
        ("Evidence", "hvops:evidence", "t0ken", None),
        ("Share", "hvops:share", "t0ken", None),
    ]
    assert message.text == stuck_writer.summary
    assert not problems(message)
    assert not message.files


def test_full_guests_whole(full_guests):
    message = report_message(full_guests, "t0ken", AT)
    kinds = [block["type"] for block in message.blocks]
    assert kinds == (
        [
            "header",
            "context",
            "section",
            "section",
            "data_visualization",
            "context",
            "data_table",
            "section",
            "section",
            "context",
            "actions",
        ]
    )
    assert message.blocks[4]["chart"] == {
        "type": "bar",
        "series": [
            {
                "name": "GB",
                "data": [
                    {"label": "test-tfs-01 C:", "value": 0},
                    {"label": "sql-stage-02 L:", "value": 0.4},
                    {"label": "file-01 D:", "value": 21},
                ],
            },
            {
                "name": "Full below",
                "data": [
                    {"label": "test-tfs-01 C:", "value": 1},
                    {"label": "sql-stage-02 L:", "value": 1},
                    {"label": "file-01 D:", "value": 1},
                ],
            },
        ],
        "axis_config": {"categories": ["test-tfs-01 C:", "sql-stage-02 L:", "file-01 D:"], "y_label": "GB"},
    }
    table = message.blocks[6]
    assert table["page_size"] == 10
    assert [[cell["text"] for cell in row] for row in table["rows"]] == [
        ["Guest", "Volume", "Free GB", "Node"],
        ["test-tfs-01", "C:", "0", "hv03"],
        ["sql-stage-02", "L:", "0.4", "hv01"],
        ["crm-03", "—", "—", "hv02"],
    ]
    assert table["rows"][2][2] == {"type": "raw_number", "value": 0.4, "text": "0.4"}
    assert "*UNKNOWN (2):*\nsap-old-01, sap-old-02: No answer in 20 s." in said(message)
    assert "Full below: 1 GB" in said(message)
    assert buttons(message)[0] == ("Check Again", "hvops:look-again", "t0ken", "primary")
    assert ("Send CSV", "hvops:csv", "t0ken", None) in buttons(message)
    assert not problems(message)


def test_a_small_table_is_a_plain_one(full_guests):
    table = Table("KBs", (Column("KB"), Column("Not listed on")), (("KB2607712", "hv02, hv05"),))
    report = Report("prod: 2 nodes differ", "two differ", "nodes", 6, 6, table=table)
    kinds = [block["type"] for block in report_message(report, "t", AT).blocks]
    assert "table" in kinds
    assert "data_table" not in kinds


def test_only_the_first_of_several_primaries_is_primary():
    remedies = (Remedy("One", "/one"), Remedy("Two", "/two", primary=True), Remedy("Three", "/three", primary=True))
    shown = buttons(report_message(Report("t", "s", "nodes", 1, 1, remedies=remedies), "t", AT))
    assert [name for name, _, _, style in shown if style] == ["Two"]
    assert shown[0][:2] == ("Two", "hvops:run:1")


def test_a_name_cannot_ring_a_channel():
    report = Report(
        "prod: <!channel> is full",
        "<!channel> & <@U1>",
        "guests",
        1,
        0,
        findings=(Finding(Severity.FAULT, "FULL", "<!channel>", "is full", (("Means", "<!here>"),)),),
        unanswered=(Unknown("<!everyone>", "timed out", "<@U0VICTIM>"),),
        fine=(Healthy("FINE", ("<!subteam^S1>",)),),
    )
    message = report_message(report, "t", AT)
    in_mrkdwn = message.text + json.dumps(list(_all_mrkdwn(message.blocks)))
    assert "&lt;!channel&gt;" in in_mrkdwn
    assert set(re.findall(r"<[^>]*>", in_mrkdwn)) == {TIME}


def test_5000_rows_show_the_first_and_say_so(full_guests):
    rows = tuple((f"vm-{at:04}", "C:", str(at), "hv01") for at in range(5_000))
    table = Table("Volumes", full_guests.table.columns, rows)
    report = Report("t", "s", "guests", 1, 1, table=table)
    message = report_message(report, "t", AT)
    assert not problems(message)
    assert "The first 100 of 5,000 rows. Use Send CSV for all of them." in said(message)
    assert len(list(csv.reader(io.StringIO(csv_bytes(table).decode("utf-8-sig"))))) == 5_001


def test_csv_cells_are_no_formulas():
    table = Table("t", (Column("Guest"), Column("Free", "number", "GB")), (("=cmd|'/C calc'!A0", "-1"),))
    assert csv_bytes(table).decode("utf-8-sig") == "Guest,Free GB\r\n'=cmd|'/C calc'!A0,-1\r\n"


def test_what_is_too_much_to_read_is_in_the_file():
    findings = tuple(Finding(Severity.FAULT, "FULL", f"vm-{at:03}", "C: is full") for at in range(200))
    message = report_message(Report("t", "s", "guests", 200, 200, findings=findings), "t", AT)
    assert "*170 more* in the file answer.txt, which holds the whole answer." in said(message)
    (file,) = message.files
    assert all(f"vm-{at:03}" in file.content.decode() for at in range(200))
    assert not problems(message)


SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(reports)
def test_any_report_is_within_the_limits_and_loses_no_finding(report):
    message = fit(report_message(report, "t0ken", AT))
    assert not problems(message)
    check_message(json.loads(json.dumps(message.blocks)))  # the practice Slack's own reading of the limits
    everything = _letters(as_text(message) + "".join(file.content.decode() for file in message.files))
    for finding in report.findings:
        assert _letters(escape_control(finding.target)) in everything
        assert _letters(escape_control(finding.summary)) in everything
    for one in report.unanswered:
        assert _letters(escape_control(one.target)) in everything


def test_a_blank_that_hides_at_the_end_of_a_name_is_seen_wherever_the_name_stands():
    """And no mark of ours is marked a second time."""
    target, marked = "crm-01\u00a0", "crm-01\u00a0⟨U+00A0⟩"
    silent = tuple(Unknown(name, "timed out", "no answer.") for name in (target, "crm-02"))
    report = Report(target, target, "guests", 1, 1, (Finding(Severity.FAULT, "FULL", target, "is full"),), silent)
    shown = as_text(report_message(report, "t0ken", AT))
    assert f"*FULL {marked}:*" in shown
    assert f"{marked}, crm-02: no answer." in shown
    whole = report_text(report)
    assert f"FULL {marked}: is full" in whole
    assert f"UNKNOWN {marked}: " in whole
    assert whole.startswith(f"{marked}\n\n{marked}\n\n")


def _letters(text):
    """Without blanks, and with what stands in cards for formatting characters at the edge of a word as these."""
    return re.sub(r"\s+", "", text).translate(str.maketrans("∗\uff3f∼ˋ", "*_~`"))


@SLOW
@given(reports)
def test_nothing_from_outside_becomes_a_mention_or_a_link(report):
    message = fit(report_message(report, "t0ken", AT))
    shown = [message.text, *_all_mrkdwn(message.blocks)]
    assert set(re.findall(r"<[^>]*>?", "\n".join(shown))) <= {TIME}


@SLOW
@given(reports)
def test_every_step_down_is_taken_and_ends_in_plain_text(report):
    message = fit(report_message(report, "t0ken", AT))
    seen = 0
    while (lower := downgrade(message)) is not None:
        assert not problems(lower)
        check_message(json.loads(json.dumps(lower.blocks)))
        assert len(lower.blocks) < 60
        message = lower
        seen += 1
        assert seen < 10
    assert not message.blocks
    assert message.text


@SLOW
@given(reports)
def test_the_file_holds_every_word(report):
    whole = report_text(report)
    for finding in report.findings:
        assert escape_control(finding.target, lines=True) in whole
    whole.encode()


def _all_mrkdwn(blocks):
    for block in blocks:
        texts = [block.get("text"), *block.get("elements", []), *block.get("fields", [])]
        yield from (one["text"] for one in texts if isinstance(one, dict) and one.get("type") == "mrkdwn")


def test_cells_of_figures_and_blanks_before_a_formula_run_nothing_either():
    rows = ((" =1+1", "=HYPERLINK(1)"), ("\uff1dcmd", "+1.5"), ("a", "-2"))
    table = Table("Guests", (Column("Guest"), Column("Free", "number", "GB")), rows)
    (_, *cells) = csv.reader(io.StringIO(csv_bytes(table).decode("utf-8-sig")))
    assert cells[0] == ["' =1+1", "'=HYPERLINK(1)"]
    assert cells[1][0] == "'\uff1dcmd"
    assert cells[2] == ["a", "-2"]


def test_what_is_called_like_a_time_keeps_its_name_in_an_answer_and_on_its_way(full_guests):
    """Its heading left the time out, and named another machine."""
    name = "crm-web 10:00 UTC 01"
    finding = Finding(Severity.FAULT, "FULL", name, "0 MB free since 22:40 UTC")
    report = replace(full_guests, title=f"prod: {name} is full", summary=f"{name} is full", findings=(finding,))
    made = report_message(report, "token", AT)
    for message in (made, local_message(asking_message(made, None), AT), thread_messages(report, AT)[0]):
        shown = plain_text(list(message.blocks))
        assert "crm-web" in shown
        assert "crm-web" not in shown.replace(name, "it")
