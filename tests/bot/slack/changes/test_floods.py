"""One person types on and on what is refused at once, or what hvops itself answers: nobody else waits, and the ledger stays small."""

import asyncio
import threading

import pytest

from bot.dispatch.line_entries import LineEntries
from bot.dispatch.person_rate import PersonRate
from bot.ledger.entries import STOP_REQUEST, AnswerShown, Clicked

MANY = 40
LINES = (
    "/hvops help",
    "/hvops runs",
    "/hvops go",
    "/hvops stop",
    "/repair hv03",
    "/repair",
    "/audit --z",
    "/hvops nonsense",
)


class Flood:
    """Lines of one person of which no entry is written until it is over."""

    def __init__(self, bench, monkeypatch, who):
        self.bench, self.person = bench, bench.slack.person(who)
        self.release, self.waiting, self.typing = threading.Event(), [], []
        append = bench.ledger.append

        def held(actor, data, ticket=None):
            if actor.endswith(f"/{self.person.id}"):
                self.waiting.append(data)
                self.release.wait(60)
            return append(actor, data, ticket)

        monkeypatch.setattr(bench.ledger, "append", held)

    async def __aenter__(self):
        return self

    async def types(self, line):
        """Type it often, and wait until some of it is about to be written, and nothing more comes to that."""
        self.typing = [asyncio.create_task(self.person.types(line)) for _ in range(MANY)]
        await self.bench.until(lambda: self.waiting)
        await self.bench.operator.types("/hvops status")  # what came before is under way once this is answered
        await self.bench.until(lambda: self.bench.ledger.entries(kind="asked", text="/hvops status"))

    async def __aexit__(self, *_):
        self.release.set()
        await asyncio.gather(*self.typing, return_exceptions=True)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("who", ["nobody", "viewer"])
async def test_no_stop_and_no_press_waits_behind_what_somebody_else_types(bench, monkeypatch, who, line):
    """None of it is written before them, but for two entries that are being written at that moment."""
    bench.world.gate.set()
    async with bench.running(ops=("C0OPS",)):
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        async with Flood(bench, monkeypatch, who) as flood:
            await flood.types(line)
            await bench.approver.clicks(plan, "Approve")
            await bench.until(lambda: "approved" in bench.kinds())
            await bench.operator.types("/hvops stop power work")
            await bench.until(bench.ledger.is_stopped)
            assert len(flood.waiting) <= (4 if line == "/hvops stop" else 2)  # two of their stops, and two of all else


@pytest.mark.parametrize("line", ["/repair hv03", "/hvops help", "/hvops nonsense"])
async def test_of_lines_that_are_refused_on_and_on_some_are_written_and_the_others_counted(bench, line):
    nobody = bench.slack.person("nobody")
    async with bench.running() as bot:
        bot.desk.parts.pipeline.entries = LineEntries(bench.ledger, PersonRate(3, 60.0, lambda: 0.0))
        bot.desk.own_lines = PersonRate(2, 60.0, lambda: 0.0)
        for _ in range(12):
            await nobody.types(line)
        await bench.until(lambda: len([one for one in nobody.messages() if one.only_for]) >= 12)
        await bench.approver.types(line)
        await bench.until(lambda: any("/U0APPROVER" in one.actor for one in bench.ledger.every()))
    mine = [one for one in bench.ledger.every() if one.actor.endswith(nobody.id)]
    answered = 2 if line == "/hvops help" else 0
    assert [one.kind for one in mine] == ["asked"] * answered + ["refused"] * 4
    assert mine[-1].reason.startswith(f"{12 - answered - 3} more lines of this person")
    assert mine[-1].line == line


async def test_a_line_to_hvops_beyond_some_a_minute_is_not_answered_and_says_so(bench):
    async with bench.running() as bot:
        bot.desk.own_lines = PersonRate(1, 60.0, lambda: 0.0)
        await bench.viewer.types("/hvops status")
        await bench.viewer.sees("*Ledger:* entry 1")
        await bench.viewer.types("/hvops status")
        await bench.viewer.sees("You have sent hvops too many commands in the last minute")
        await bench.operator.types("/hvops status")
        await bench.operator.sees("*Ledger:* entry 1")


async def test_who_typed_too_much_to_hvops_can_stop_changes_all_the_same(bench):
    async with bench.running() as bot:
        bot.desk.own_lines = bot.listener.stops = PersonRate(0, 60.0, lambda: 0.0)
        await bench.operator.types("/hvops stop")
        window = await bench.operator.sees_view("Stop Changes")
        await bench.operator.submits(window, {"Why?": "power work"})
        await bench.until(bench.ledger.is_stopped)
        (stop,) = bench.ledger.entries(kind="stop")
        assert bench.ledger.entry(stop.click).reason == "power work"


@pytest.mark.parametrize("who", ["nobody", "viewer"])
async def test_beyond_some_a_minute_no_request_of_who_cannot_stop_changes_is_written_down(bench, who):
    person = bench.slack.person(who)
    async with bench.running(ops=("C0OPS",)) as bot:
        bot.listener.stops = PersonRate(2, 60.0, lambda: 0.0)
        bot.desk.parts.pipeline.entries = LineEntries(bench.ledger, PersonRate(1, 60.0, lambda: 0.0))
        bot.desk.told_too_many = PersonRate(1, 60.0, lambda: 0.0)
        for number in range(4):
            await person.types(f"/hvops stop {number}")
        for number in range(4, 8):
            await person.types(f"@hvops stop {number}", "hv-ops")
        await person.sees("You have asked many times in the last minute to stop changes", "hv-ops")
        await bench.operator.types("/hvops stop power work")
        await bench.until(bench.ledger.is_stopped)
    mine = [one for one in bench.ledger.every() if one.actor.endswith(person.id)]
    assert [one.reason for one in mine if one.kind == "clicked"] == ["0", "1"]
    assert mine[-1].reason.startswith("5 more lines of this person")
    assert bench.ledger.stop_requests() == []


async def test_a_stop_of_whom_slack_says_nothing_is_written_down_however_many_there_were(bench):
    async with bench.running(ops=("C0OPS",)) as bot:
        bot.listener.stops = PersonRate(0, 60.0, lambda: 0.0)
        bench.slack.faults.add("usergroups.users.list", "500", 50)
        await bench.operator.types("/hvops stop it burns")
        (click,) = bench.ledger.entries(kind="clicked")
        assert click.reason == "it burns"


@pytest.fixture
def held(bench, monkeypatch):
    """What is about to be written of presses and of answers, but of no stop: none of it is, until the test is over."""
    release, waiting, append = threading.Event(), [], bench.ledger.append

    def hold(actor, data, ticket=None):
        if isinstance(data, (Clicked, AnswerShown)) and getattr(data, "button", "") != STOP_REQUEST:
            waiting.append(data)
            release.wait(60)
        return append(actor, data, ticket)

    monkeypatch.setattr(bench.ledger, "append", hold)
    yield waiting
    release.set()


@pytest.mark.parametrize("way", ["/hvops stop power work", "@hvops stop power work", "window"])
@pytest.mark.parametrize("flood", ["presses", "answers"])
async def test_a_stop_waits_for_nothing_that_its_own_person_presses_or_is_answered(bench, held, flood, way):
    """Neither for their turn nor for a thread: four answers that were being written down held it up."""
    async with bench.running(ops=("C0OPS",)) as bot:
        await bench.operator.types("/repair hv03")
        plan = await bench.operator.sees("Repair on hv03?", "hv-ops")
        window = None
        if way == "window":
            await bench.operator.types("/hvops stop")
            window = await bench.operator.sees_view("Stop Changes")
        shown = AnswerShown(answer="a", delivery="direct", to=bench.operator.id)
        begin = {
            "presses": lambda: bench.operator.clicks(plan, "Approve"),
            "answers": lambda: bot.desk.write("bot", shown),
        }[flood]
        under_way = [asyncio.create_task(begin()) for _ in range(MANY)]
        await bench.until(lambda: len(held) == {"presses": 2, "answers": 4}[flood])
        stops = {
            "/": lambda: bench.operator.types(way),
            "@": lambda: bench.operator.types(way, "hv-ops"),
            "w": lambda: bench.operator.submits(window, {"Why?": "power work"}),
        }[way[0]]
        under_way.append(asyncio.create_task(stops()))
        await bench.until(bench.ledger.is_stopped)
        (request,) = bench.ledger.entries(kind="clicked")
        assert (request.fields["button"], request.reason) == (STOP_REQUEST, "power work")
        assert len(held) == {"presses": 2, "answers": 4}[flood]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
