"""Every way a line can end, and what the ledger then says."""

import asyncio
import math
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.api.arguments import Size, Target
from bot.api.command import Diagnostic, Role
from bot.api.queries import make_params
from bot.api.report import Bar, Chart, Column, Finding, Remedy, Report, Sample, Severity, Table
from bot.dispatch import argument_parser
from bot.dispatch.authorization import Person
from bot.dispatch.command_line import read_typed
from bot.dispatch.person_rate import PersonRate
from bot.dispatch.pipeline import Pipeline, Request
from bot.dispatch.registry import Command, Registry
from bot.errors import InternalError, LedgerError, PermissionDenied, UsageError
from bot.ledger import Ledger
from bot.redaction import Redactor
from bot.serialization import Evidence

MASK = Redactor(["Wolf-2026!"])
VIEWER = Person("T1/U1", "viewer", {Role.VIEWER: frozenset(["prod"])})
STRANGER = Person("T1/U9", "stranger")
REPORT = Report(
    title="prod: one sheep is black",
    summary="prod: one sheep is black of 3",
    of="sheep",
    asked=3,
    answered=3,
    findings=(Finding(Severity.FAULT, "BLACK", "dolly", "wool 000000"),),
    samples=(Sample("dolly", "wool", make_params(colour="000000")),),
)


@dataclass(frozen=True)
class Args:
    target: Target
    free: Size = Size(2**30)


class Names:
    """A directory of two clusters."""

    def __init__(self):
        self.asked: list[str] = []

    async def find(self, name):
        self.asked.append(name)
        if name.casefold() in ("prod", "branch"):
            return Target(name.casefold(), "cluster", name.casefold())
        raise UsageError(f"Nothing is known about {name}.", suggestions=("prod",))


@dataclass
class Looking:
    evidence: list[Evidence] = field(default_factory=list)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def count_from(self, began):
        pass


@pytest.fixture
def shepherd(tmp_path: Path):
    """A pipeline with one command, `/count-sheep`, whose collect can be told to fail."""
    with Ledger(tmp_path / "ledger.db", tmp_path / "ledger.key", tmp_path / "anchors.txt", MASK) as ledger:
        yield Shepherd(ledger)


class Shepherd:
    def __init__(self, ledger: Ledger):
        self.ledger = ledger
        self.names = Names()
        self.fails: Exception | None = None
        self.collected = 0
        self.wool = "white"
        self.report = REPORT

        async def collect(args, ask):
            self.collected += 1
            if self.fails:
                raise self.fails
            ask.evidence.append(Evidence("dolly", "SELECT * FROM Sheep", f"<sheep>{self.wool}</sheep>"))

        spec = Diagnostic(Role.VIEWER, Args, collect, lambda args, facts: self.report)
        command = Command("count-sheep", "Count sheep.", spec, argument_parser.parameters(Args))
        registry = Registry({"count-sheep": command})
        self.pipeline = Pipeline(registry, self.names, ledger, self.looks, MASK)
        self.look = Looking()

    def looks(self, now, progress):
        self.look = Looking()
        return self.look

    async def says(self, line: str, person: Person = VIEWER):
        return await self.pipeline.answer(Request(person, line, "slack", "C0OPS"))

    def story(self):
        return [(entry.kind, entry.actor) for entry in self.ledger.every()]

    def last(self):
        return self.ledger.head().data


async def test_an_answer_is_asked_then_answered(shepherd):
    answered = await shepherd.says("/count-sheep PROD —free 2GB")
    assert answered.report == REPORT
    assert answered.line == "/count-sheep prod --free 2GB"
    assert shepherd.story() == [("asked", "T1/U1"), ("answered", "T1/U1")]
    assert shepherd.last().asked == 1
    assert shepherd.last().target == "prod"
    assert shepherd.ledger.verify().holds


async def test_a_button_finds_its_answer_again(shepherd):
    answered = await shepherd.says("/hvops count-sheep prod")
    found = shepherd.pipeline.find(answered.token)
    assert found is not None
    assert (found.report, found.line, found.evidence) == (answered.report, answered.line, answered.evidence)
    assert shepherd.pipeline.find("guessed") is None


async def test_samples_are_remembered(shepherd):
    answered = await shepherd.says("/count-sheep prod")
    (sample,) = shepherd.ledger.recall("dolly", "wool", datetime(2020, 1, 1, tzinfo=UTC))
    assert sample["colour"] == "000000"
    assert datetime.fromisoformat(sample["at"]) == answered.at


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/count-sheeps prod", "There is no command “/count-sheeps”."),
        ("/hvops", "Type a command"),
        ("/count-sheep", "<cluster|host> is missing."),
        ("/count-sheep nowhere", "Nothing is known about nowhere."),
        ("/count-sheep " + "x" * 4_000, "4,0"),
    ],
)
async def test_what_cannot_be_read_is_refused_and_stands_in_the_ledger(shepherd, line, says):
    with pytest.raises(UsageError, match=says):
        await shepherd.says(line)
    assert shepherd.ledger.head().kind == "refused"
    assert shepherd.last().category == "not understood"
    assert len(shepherd.last().line) < 120
    assert shepherd.collected == 0


async def test_a_near_miss_is_suggested(shepherd):
    with pytest.raises(UsageError) as refused:
        await shepherd.says("/count-sheeps prod")
    assert refused.value.suggestions == ("/count-sheep",)
    with pytest.raises(UsageError) as refused:
        await shepherd.says("/hvops stopp")
    assert refused.value.suggestions == ("/hvops stop",)


async def test_a_stranger_learns_nothing_and_asks_nothing(shepherd):
    for line in ("/count-sheep prod", "/count-sheep", "/count-sheeps prod", "/count-sheep prod --wolf 1"):
        with pytest.raises(PermissionDenied) as refused:
            await shepherd.says(line, STRANGER)
        assert str(refused.value) == "You have no role in hvops. Ask your hvops administrator if you need one."
        assert shepherd.last().category == "not allowed"
    assert shepherd.story() == [("refused", "T1/U9")] * 4
    assert shepherd.names.asked == []


async def test_a_role_elsewhere_is_no_role_here(shepherd):
    with pytest.raises(PermissionDenied, match="viewer role on branch"):
        await shepherd.says("/count-sheep branch")
    assert shepherd.story() == [("asked", "T1/U1"), ("refused", "T1/U1")]
    assert shepherd.collected == 0


async def test_our_bug_gets_an_id_and_an_entry(shepherd):
    shepherd.fails = ZeroDivisionError("sheep")
    with pytest.raises(InternalError) as bug:
        await shepherd.says("/count-sheep prod")
    assert bug.value.bug in str(bug.value)
    assert bug.value.bug in shepherd.last().reason
    assert "sheep" not in str(bug.value)
    assert shepherd.story() == [("asked", "T1/U1"), ("refused", "T1/U1")]


async def test_when_the_ledger_cannot_be_written_nothing_is_asked(shepherd):
    with sqlite3.connect(shepherd.ledger.path) as breaker:
        breaker.execute("CREATE TRIGGER full BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    breaker.close()
    with pytest.raises(LedgerError):
        await shepherd.says("/count-sheep prod")
    assert shepherd.collected == 0
    assert shepherd.names.asked == []


async def test_a_secret_of_digits_is_kept_in_no_number_and_the_answer_stays_an_answer(shepherd):
    """A masked number is none: of the report nothing could be read back, and there would be no answer."""
    mask = Redactor(["20261130"])
    shepherd.ledger._mask = mask
    chart = Chart("Wool", "g", (Bar("dolly", 202_611_300), Bar("molly", 5)))
    shepherd.report = replace(
        REPORT,
        chart=chart,
        table=Table("Wool", (Column("Wool", "number", "g"),), (("20261130",), ("0.5",))),
        samples=(Sample("dolly", "wool", make_params(grams=20_261_130, day=7)),),
    )
    answered = await shepherd.says("/count-sheep prod")
    assert answered.report.chart is None
    assert answered.report.table.rows == (("[masked]",), ("0.5",))
    assert shepherd.last().samples[0]["fields"] == {"grams": "[masked]", "day": 7}
    assert (await asyncio.to_thread(shepherd.pipeline.find, answered.token)).report == answered.report
    everything = b"".join(file.read_bytes() for file in Path(shepherd.ledger.path).parent.glob("ledger.db*"))
    assert b"2026113" not in everything
    shepherd.report = replace(REPORT, chart=replace(chart, bars=chart.bars[1:]))
    assert (await shepherd.says("/count-sheep prod")).report == shepherd.report


def long_report(number=0, secret=""):
    """As long as one of hundreds of guests, and of its own moment."""
    return replace(
        REPORT,
        title=f"{REPORT.title} {number}",
        findings=tuple(
            Finding(Severity.FAULT, "BLACK", f"dolly-{one}", f"wool {number} {secret}") for one in range(300)
        ),
        remedies=(Remedy("Count Sheep", "/count-sheep prod", primary=True),),
    )


def kept_beside(ledger):
    """Bytes of raw answers and reports."""
    with closing(sqlite3.connect(ledger.path)) as database:
        return database.execute("SELECT coalesce(sum(length(bytes)), 0) FROM blob").fetchone()[0]


async def asks_on_and_on(shepherd, times):
    for number in range(times):
        shepherd.report = long_report(number, "Wolf-2026!")
        answered = await shepherd.says("/count-sheep prod")
        assert len(answered.report.findings) >= 300
    return answered


async def test_with_little_room_on_the_disk_an_answer_is_shown_whole_and_not_kept(shepherd, monkeypatch):
    """Reports alone filled it within a night, and then nothing could be decided or stopped."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 2**20))
    answered = await asks_on_and_on(shepherd, 8)
    assert kept_beside(shepherd.ledger) < 8 * 1_024
    told, *findings = answered.report.findings
    assert (told.status, told.target) == ("NOT STORED", "this answer")
    assert told.summary.startswith("the ledger's disk has only 100 MB free. ")
    assert findings == list(long_report(7, "[masked]").findings)
    assert [kind for kind, _ in shepherd.story()] == ["asked", "answered"] * 8
    assert (shepherd.last().title, shepherd.last().findings) == (f"{REPORT.title} 7", 300)
    assert shepherd.last().samples  # which the next answer is compared with
    verdict = shepherd.ledger.verify()
    assert (verdict.holds, verdict.notes) == (True, ())


async def test_the_buttons_of_an_answer_that_was_not_kept_start_what_they_started(shepherd, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 * 2**20))
    answered = await asks_on_and_on(shepherd, 1)
    found = shepherd.pipeline.find(answered.token)
    assert (found.line, found.report.title, found.report.remedies) == (
        "/count-sheep prod",
        answered.report.title,
        answered.report.remedies,
    )
    assert found.report.findings == answered.report.findings[:1]
    assert [(one.on, one.query) for one in found.evidence] == [("dolly", "SELECT * FROM Sheep")]
    assert found.evidence[0].raw.startswith("[not stored: ")


async def test_of_one_person_who_asks_on_and_on_reports_are_bounded_as_raw_answers_are(shepherd, monkeypatch):
    monkeypatch.setattr(shepherd.pipeline._limits, "_room", PersonRate(2**16, math.inf))
    answered = await asks_on_and_on(shepherd, 8)
    assert kept_beside(shepherd.ledger) < 2**16 + 8 * 1_024
    assert answered.report.findings[0].summary.startswith("you have used up your storage quota for answers")
    shepherd.report = REPORT
    other = Person("T1/U2", "viewer", {Role.VIEWER: frozenset(["prod"])})
    assert (await shepherd.says("/count-sheep prod", other)).report == REPORT


async def test_a_secret_that_a_host_prints_is_shown_to_nobody(shepherd):
    shepherd.wool = "Wolf-2026!"
    answered = await shepherd.says("/count-sheep prod")
    assert answered.evidence[0].raw == "<sheep>[masked]</sheep>"
    with pytest.raises(UsageError) as refused:
        await shepherd.says("/count-sheep prod Wolf-2026!")
    assert "Wolf" not in str(refused.value) + str(shepherd.last())


async def test_a_report_that_cannot_be_kept_is_our_bug_and_not_a_silence(shepherd, monkeypatch):
    monkeypatch.setattr("bot.dispatch.pipeline.report_to_bytes", lambda report: "\ud800".encode())
    with pytest.raises(InternalError):
        await shepherd.says("/count-sheep prod")
    assert shepherd.story() == [("asked", "T1/U1"), ("refused", "T1/U1")]


async def test_hosts_may_be_asked_only_where_the_role_was_checked(shepherd):
    await shepherd.says("/count-sheep PROD")
    assert shepherd.look.places == frozenset({"prod"})


def test_a_line_is_read_before_anything_is_promised(shepherd):
    assert shepherd.pipeline.can_parse(read_typed("/count-sheep prod"))
    assert shepherd.pipeline.can_parse(read_typed("/hvops count-sheep nowhere"))  # names are looked up later
    assert not shepherd.pipeline.can_parse(read_typed("/count-sheep"))
    assert not shepherd.pipeline.can_parse(read_typed("/count-sheeps prod"))
