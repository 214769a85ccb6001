"""A report as text: readable at 80 columns, and nothing from outside moves the cursor."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from bot.api.facts import Unknown
from bot.api.report import Bar, Chart, Column, Finding, Healthy, Remedy, Report, Severity, Table
from bot.cli.console import visible
from bot.cli.render import print_report


def drawn(report, width=80):
    out = io.StringIO()
    print_report(Console(file=out, width=width, highlight=False, markup=False, emoji=False), report, "ledger 7")
    return out.getvalue()


EXAMPLE = Report(
    title="prod: Hyper-V writer STUCK on hv03",
    summary="…",
    of="nodes",
    asked=6,
    answered=5,
    findings=(
        Finding(
            Severity.FAULT, "STUCK", "hv03", "[5] Retryable error",
            (("Means", "next backup of 11 guests expected to fail"), ("Suspect", "test-tfs-01")),
        ),
    ),
    unanswered=(Unknown("hv05", "timed out", "no answer in 20 s."),),
    fine=(Healthy("STABLE", ("hv01", "hv02"), "11 writers each"), Healthy("ENOUGH", ("48 guests",), "1 GB free")),
    remedies=(Remedy("Find Full Guests", "/find-full-guests prod"),),
    notes=("Event logs searched back to 21:14.",),
    chart=Chart("Free GB", "GB", (Bar("a C:", 0), Bar("b D:", 210)), (("1 GB wanted", 10),)),
    table=Table("Volumes", (Column("Guest"), Column("Free GB", "number", "GB")), (("a", "0.0"), ("b", "21.0"))),
)  # fmt: skip


def test_a_bar_of_one_is_told_in_the_singular():
    chart = Chart("Disks", "disks", (Bar("a", 30), Bar("b", 10), Bar("c", 0)), (("most", 10),), one="disk")
    text = drawn(Report("t", "s", "nodes", 1, 1, chart=chart))
    assert re.findall(r"\d+ disks?\b", text) == ["3 disks", "1 disk", "0 disks", "1 disk"]


def test_the_whole_of_it():
    lines = [" ".join(line.split()) for line in drawn(EXAMPLE).splitlines()]
    assert lines[:8] == [
        "prod: Hyper-V writer STUCK on hv03",
        "STUCK hv03 [5] Retryable error",
        "means next backup of 11 guests expected to fail",
        "suspect test-tfs-01",
        "UNKNOWN hv05 no answer in 20 s.",
        "STABLE 2 nodes hv01 hv02 (11 writers each)",
        "ENOUGH 48 guests 1 GB free",
        'then hvops ask "/find-full-guests prod"',
    ]
    assert "b D: " + "━" * 30 + " 21 GB" in lines
    assert "Guest Free GB" in lines
    assert lines[-1] == "5 of 6 nodes answered · ledger 7"


@pytest.mark.parametrize(
    ("kind", "why", "says"),
    [
        ("login refused", "the login was refused.", "UNKNOWN hv05 the login was refused."),
        ("timed out", "no answer in 8 s.", "UNKNOWN hv05 no answer in 8 s."),
        ("timed out", "", "UNKNOWN hv05 timed out"),
    ],
)
def test_an_unknown_says_its_reason_once(kind, why, says):
    told = drawn(Report("t", "s", "nodes", 1, 0, unanswered=(Unknown("hv05", kind, why),)))
    assert says in " ".join(told.split())


def test_one_host_that_was_asked_is_one_node():
    assert "1 of 1 node answered" in drawn(Report("t", "s", "nodes", 1, 1))
    assert "0 of 2 nodes answered" in drawn(Report("t", "s", "nodes", 2, 0))


def test_a_long_table_says_how_many_rows_are_left():
    rows = tuple((f"guest{number}", "1.0") for number in range(50))
    table = Table("Volumes", (Column("Guest"), Column("Free", "number", "GB")), rows)
    text = drawn(Report("t", "s", "guests", 1, 1, table=table))
    assert "guest19" in text
    assert "guest20" not in text
    assert "30 more rows" in text


HOSTILE = st.text(max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.tuples(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE), st.integers(40, 120))
def test_no_text_from_outside_leaves_its_place(texts, width):
    title, word, target, says, label = texts
    finding = Finding(Severity.FAULT, word[:15], target, says, ((label[:15], says),))
    table = Table(title, (Column(label[:15]),), ((says,),))
    text = drawn(Report(title, says, "nodes", 1, 1, (finding,), notes=(says,), table=table), width)
    controls = {character for character in text if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")}
    assert controls <= {"\n"}


def test_markup_and_escapes_are_shown_as_they_are():
    report = Report("[bold]x[/bold] :smile: \x1b[2Jend", "s", "nodes", 1, 1)
    assert "[bold]x[/bold] :smile: ⟨U+001B⟩[2Jend" in drawn(report)
    assert visible("a\tb\u202ec\u200bd") == "a b⟨U+202E⟩c⟨U+200B⟩d"
