"""`/audit` through the practice Slack: who sees what, pages, filters, files, and the story of a ticket."""

import asyncio
import csv
import io
import json
import re
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import datetime

import pytest
from entry_samples import entry_data

from bot.api.command import Role
from bot.audit.query import Review
from bot.dispatch.authorization import Person
from bot.slack.render import ticket_history as story_render
from lab.slack.plain_text import plain_text


async def drained(bench):
    """One change, asked by the operator and approved by the approver."""
    bench.world.gate.set()
    await bench.operator.types("/repair hv03")
    plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
    await bench.viewer.clicks(plan, "Approve")
    await bench.viewer.sees("This needs the approver role on prod")
    await bench.approver.clicks(plan, "Approve")
    await bench.ended("done")
    return plan


def entries(bench, kind):
    return [one for one in bench.ledger.entries(kind=kind, newest_first=False) if one.fields.get("command") == "audit"]


async def test_a_change_is_found_with_who_asked_who_decided_and_how_it_ended(bench):
    async with bench.running():
        await drained(bench)
        await bench.viewer.types("/audit prod")
        answer = await bench.viewer.sees("Audit prod, 24 h: 1 change, 1 refusal, 0 questions")
        assert answer.only_for == bench.viewer.id
        told = plain_text(answer)
        for fact in ("T-1", "/repair", "hv03", "operator", "approver", "done", "not allowed", "anchor matches"):
            assert fact in told
        asked, answered = entries(bench, "asked"), entries(bench, "answered")
        assert [one.data.line for one in (*asked, *answered)] == ["/audit prod", "/audit prod"]
        assert answered[0].data.asked == asked[0].seq
        assert answered[0].data.verdict == "Audit prod, 24 h: 1 change, 1 refusal, 0 questions"
        values = {one["value"] for block in answer.blocks if block["type"] == "actions" for one in block["elements"]}
        assert values == {"T-1", answered[0].data.answer}
        assert bench.ledger.verify().holds


@pytest.mark.parametrize("line", ["/hvops audit prod --outcome done", "@hvops audit prod --outcome=done"])
async def test_every_way_in_is_the_same(bench, line):
    async with bench.running():
        await drained(bench)
        await bench.viewer.types(line)
        await bench.viewer.sees("Audit prod, 24 h: 1 change, 0 questions")


async def test_who_may_see_nothing_is_refused_and_that_is_an_entry(bench):
    nobody = bench.slack.person("nobody")
    async with bench.running():
        await drained(bench)
        await nobody.types("/audit prod")
        refused = await nobody.sees("Not allowed")
        assert "T-1" not in plain_text(refused)
        await bench.viewer.types("/audit branch")
        await bench.viewer.sees("This needs the viewer role on branch")
        told = [(one.data.target, one.data.category) for one in entries(bench, "refused")]
        assert told == [("prod", "not allowed"), ("branch", "not allowed")]
        assert not entries(bench, "answered")


async def test_what_cannot_be_read_is_refused_with_the_usage(bench):
    async with bench.running():
        await bench.viewer.types("/audit prod --outcome faild")
        await bench.viewer.sees(
            "is not one of: answered, no-plan, unanswered, refused, not-allowed, not-understood, blocked"
        )
        assert entries(bench, "refused")[0].data.category == "not understood"


async def test_what_was_refused_is_told_apart_with_the_reason(bench):
    """Who may not, who mistyped, what a gate kept from being planned, what is open already, who came too late."""
    async with bench.running():
        await bench.viewer.types("/repair hv03")
        await bench.viewer.sees("This needs the operator role")
        await bench.viewer.types("/repair")
        await bench.viewer.sees("<host> is missing")
        bench.world.values["locked"] = "yes"
        await bench.operator.types("/repair hv03")
        await bench.operator.sees("No plan yet for hv03")
        bench.world.values["locked"] = "no"
        await bench.operator.types("/repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.operator.types("/repair hv03")
        await bench.operator.sees("already requests this")
        await bench.operator.clicks(plan, "Withdraw")
        await bench.operator.sees("withdrawn")
        await bench.approver.clicks(plan, "Approve")
        await bench.approver.sees("Too late")

        await bench.viewer.types("/audit")
        told = plain_text(await bench.viewer.sees("Audit, 24 h"))
        counts = next(line for line in told.splitlines() if "1 blocked" in line)
        assert set(counts.split(" · ")) == {
            *("1 not allowed", "1 not understood", "1 no plan", "1 blocked", "1 too late", "1 withdrawn"),
        }
        await bench.viewer.clicks(await bench.viewer.sees("Audit, 24 h"), "Send CSV")
        await bench.until(lambda: any(one.files for one in bench.viewer.messages("dm")))
        sent = next(one for one in bench.viewer.messages("dm") if one.files)
        rows = list(csv.DictReader(io.StringIO(bench.viewer.file(sent).decode("utf-8-sig"))))
        seen = {row["Outcome"]: (row["What"], row["Requested by"], row["Why"]) for row in rows}
        assert seen["not allowed"][:2] == ("/repair", "viewer")
        assert seen["not allowed"][2].startswith("This needs the operator role; you are a viewer in hvops")
        assert seen["not understood"] == ("/repair", "viewer", "<host> is missing.")
        assert seen["no plan"][:2] == ("/repair", "operator")
        assert "locked: yes" in seen["no plan"][2]
        assert seen["blocked"] == (
            "/repair", "operator", "T-1 already requests this and is waiting for a decision."
        )  # fmt: skip
        assert seen["too late"][:2] == ("press approve", "approver")
        assert seen["too late"][2].startswith("Too late: T-1 was withdrawn by operator")
        assert seen["withdrawn"][:2] == ("/repair", "operator")

        for word, count in (("not-allowed", 1), ("no-plan", 1), ("blocked", 1), ("refused", 4)):
            await bench.viewer.types(f"/audit --outcome {word}")
            noun = "1 question" if word == "no-plan" else "1 refusal" if count == 1 else f"{count} refusals"
            await bench.viewer.sees(f"Audit, 24 h: {noun}")


async def test_a_ticket_that_is_not_there_is_said(bench):
    async with bench.running():
        await drained(bench)
        for line in ("/audit T-99", "/hvops audit t-99"):
            await bench.viewer.types(line)
            await bench.viewer.sees("There is no ticket “T-99” that you may see.")
        await bench.viewer.types("/audit T-1")
        await bench.viewer.sees("Audit T-1, all: 1 change")
        assert [one.data.category for one in entries(bench, "refused")] == ["not understood"] * 2


async def test_a_ticket_that_its_requester_confirms_is_never_called_approved(bench):
    async with bench.running():
        await bench.operator.types("/hvops stop wait for it")
        await bench.operator.sees("Changes are stopped")
        await bench.operator.types("/tweak hv03")
        plan = deepcopy(await bench.viewer.sees("Tweak on hv03?", "hv-ops"))
        await bench.operator.clicks(plan, "Confirm")
        await bench.operator.sees("T-1: confirmed. After /hvops go")
        await bench.viewer.clicks(plan, "Confirm")
        await bench.viewer.sees("operator, who requested it, can confirm it")
        await bench.viewer.types("/hvops runs")
        await bench.viewer.sees("confirmed, waiting for /hvops go")
        await bench.viewer.opens_home()
        await bench.viewer.sees_home("T-1")
        homes = [plain_text(bench.viewer.home)]
        await bench.operator.types("/audit --outcome confirmed")
        await bench.operator.sees("Audit, 24 h: 1 change")
        await bench.operator.types("/audit --outcome approved")
        await bench.operator.sees("Audit, 24 h: 0 questions")
        await bench.operator.clicks(plan, "Confirm")
        await bench.operator.sees("T-1 was confirmed by operator")

        bench.world.gate.set()
        await bench.approver.types("/hvops go")
        await bench.ended("done")
        card = next(one for one in bench.viewer.messages("hv-ops") if one.ts == plan.ts)
        await bench.viewer.clicks(card, "History")
        window = await bench.viewer.sees_view("confirmed")
        await bench.operator.types("/audit T-1")
        await bench.operator.clicks(await bench.operator.sees("Audit T-1, all"), "Send CSV")
        await bench.until(lambda: any(one.files for one in bench.operator.messages("dm")))
        sent = next(one for one in bench.operator.messages("dm") if one.files)
        rows = list(csv.DictReader(io.StringIO(bench.operator.file(sent).decode("utf-8-sig"))))
        assert [(row["Decision"], row["What"]) for row in rows] == [
            ("", "press confirm"), ("", "press confirm"), ("confirmed", "/tweak")
        ]  # fmt: skip

        told = [card, *bench.viewer.thread(card), *bench.viewer.messages("hv-ops"), window]
        told += [*bench.operator.ephemerals(), *bench.viewer.ephemerals(), *bench.operator.messages("dm")]
        said = [*map(plain_text, told), *homes, str(rows), *(one.reason for one in bench.ledger.story("T-1"))]
        found = [one for one in said if "approved" in one.casefold() and "no T-" not in one]
        assert not [one for one in found if "--outcome approved" not in one and "outcome: approved" not in one], found


async def test_a_person_is_found_by_name_however_they_asked(bench):
    """A slash command carries a name, a mention carries none; a terminal knows another id."""
    async with bench.running():
        await bench.operator.mentions("repair hv03")
        plan = await bench.viewer.sees("Repair on hv03?", "hv-ops")
        await bench.operator.clicks(plan, "Approve")
        await bench.operator.sees("so another approver must decide")
        await bench.operator.clicks(plan, "Reject…")
        await bench.operator.sees("This needs the approver role")
        await bench.operator.types("/repair")
        await bench.operator.sees("<host> is missing")
        told = {"name": "operator", "line": "check hv03", "target": "hv03", "category": "not answered", "reason": "No."}
        bench.ledger.append("os:operator", entry_data("refused", {**told, "via": "terminal"}))

        await bench.operator.types("/audit --who operator")
        told = plain_text(await bench.operator.sees("Audit, 24 h: 1 change, 4 refusals, 0 questions"))
        assert "U0OPERATOR" not in told
        mine = [one for one in bench.ledger.entries(limit=500) if one.actor.endswith("/U0OPERATOR")]
        assert {one.name for one in mine} == {"operator"}
        assert {one.kind for one in mine} >= {"asked", "proposed", "clicked", "refused", "answered"}


async def test_while_slack_does_not_say_a_name_people_are_answered_and_found_later(bench):
    bench.slack.faults.add("users.info", "fatal_error", 5)
    async with bench.running():
        await bench.viewer.mentions("repair")
        await bench.viewer.sees("<host> is missing")
        assert bench.ledger.entries(kind="refused")[0].name == bench.viewer.id
        await bench.viewer.types("/audit")  # this one carries the name
        told = plain_text(await bench.viewer.sees("Audit, 24 h: 1 refusal"))
        assert bench.viewer.id not in told
        await bench.viewer.types("/audit --who viewer")
        await bench.viewer.sees("Audit, 24 h: 1 refusal, 1 question")


async def test_pages_turn_in_place_and_come_back(bench):
    async with bench.running():
        for number in range(45):
            told = {"line": "/check", "command": "check", "target": f"vm{number:02}", "places": ["prod"]}
            bench.ledger.append("T0PRACTICE/U0OPERATOR", entry_data("answered", {**told, "answer": f"t{number}"}))
        await bench.viewer.types("/audit")
        first = await bench.viewer.sees("45 questions")
        assert "vm44" in plain_text(first)
        assert "vm24" not in plain_text(first)
        before = len(bench.viewer.ephemerals())
        await bench.viewer.clicks(first, "Older")
        second = await bench.viewer.sees("page 2")
        assert second.ts == first.ts
        assert len(bench.viewer.ephemerals()) == before
        await bench.viewer.clicks(second, "Older")
        third = await bench.viewer.sees("vm00")
        labels = [
            one["text"]["text"] for block in third.blocks if block["type"] == "actions" for one in block["elements"]
        ]
        assert labels == ["Newer", "Filter…", "Send CSV"]
        await bench.viewer.clicks(third, "Newer")
        await bench.viewer.sees("vm24")


async def test_a_page_is_for_whoever_turns_it_now(bench):
    """The token of somebody else's answer opens nothing: what is shown is judged by who presses."""
    nobody = bench.slack.person("nobody")
    async with bench.running():
        await drained(bench)
        await bench.viewer.types("/audit")
        answer = await bench.viewer.sees("Audit, 24 h")
        for button in ("Send CSV", "History T-1"):
            await nobody.clicks(answer, button)
        await nobody.sees("Not allowed")
        await nobody.sees_view("You have no role in hvops.")
        assert not [one for one in nobody.messages("dm") if one.files]
        assert {one.data.line for one in bench.ledger.entries(kind="refused", actor=f"T0PRACTICE/{nobody.id}")} == {
            "/audit csv",
            "story T-1",
        }


async def test_filters_are_chosen_in_a_window_that_opens_at_once(bench):
    async with bench.running():
        await drained(bench)
        await bench.viewer.types("/audit prod --who operator")
        answer = await bench.viewer.sees("Audit prod, 24 h")
        await bench.viewer.clicks(answer, "Filter…")
        window = await bench.viewer.sees_view("How far back")
        values = {"Outcome": "refused", "How far back": "7d", "who": "viewer"}
        assert (await bench.viewer.submits(window, values)).ok
        filtered = await bench.viewer.sees("Audit prod, 7 d: 1 refusal, 0 questions", "hv-ops")
        assert filtered.only_for == bench.viewer.id
        assert entries(bench, "asked")[-1].data.line == "/audit prod --who viewer --outcome refused --when 7d"


async def test_a_time_is_picked_and_what_cannot_be_so_is_said_beside_its_field(bench):
    async with bench.running():
        await bench.viewer.types("/audit")
        await bench.viewer.clicks(await bench.viewer.sees("Audit, 24 h"), "Filter…")
        window = await bench.viewer.sees_view("How far back")
        assert await bench.viewer.suggested(window, "about", "pro") == ["prod", "Use “pro”"]
        assert await bench.viewer.suggested(window, "about", "T-7") == ["Use “T-7”"]
        noon = int(time.time())
        wrong = await bench.viewer.submits(window, {"about": "prod", "since": noon, "until": noon - 60})
        assert wrong.errors == {"until": "This is not after the beginning."}
        wrong = await bench.viewer.submits(window, {"who": "Anna Smith", "since": noon - 3600, "until": noon})
        assert wrong.errors == {"who": "Type one word: a name without spaces, or an id."}
        assert (await bench.viewer.submits(window, {"who": "anna"})).ok  # prod and the times are still chosen
        await bench.viewer.sees("Audit prod, since", "hv-ops")


async def test_the_pages_and_the_file_of_an_answer_are_of_the_very_time_that_was_asked(bench):
    """All within one minute: what the ledger has of the question says the part of a second as well."""

    def refused():
        return bench.ledger.entries(kind="refused", newest_first=False)

    async with bench.running():
        while len({one.at for one in refused()}) < 3:
            before = len(refused())
            await bench.viewer.types("/hvops nonsense")
            await bench.until(lambda before=before: len(refused()) > before)
        since, until = refused()[-2].at, refused()[-1].at
        within = sum(since <= one.at < until for one in refused())
        await bench.viewer.types(f"/audit --outcome refused --since {since} --until {until}")
        await bench.viewer.clicks(await bench.viewer.sees(f"{within} refusal"), "Send CSV")
        await bench.until(lambda: any(one.files for one in bench.viewer.messages("dm")))
        sent = next(one for one in bench.viewer.messages("dm") if one.files)
        rows = list(csv.DictReader(io.StringIO(bench.viewer.file(sent).decode("utf-8-sig"))))
        assert len(rows) == within
        asked = entries(bench, "asked")[0].data.line
        assert datetime.fromisoformat(f"{asked.rpartition(' ')[2]}+00:00") == datetime.fromisoformat(until)


async def test_a_csv_comes_by_direct_message_without_formulas(bench):
    async with bench.running():
        told = {
            "line": "=1+1",
            "category": "not understood",
            "reason": "=HYPERLINK(0)\n<!channel>",
            "name": "=cmd",
            "command": "@x",
        }
        bench.ledger.append(f"T0PRACTICE/{bench.viewer.id}", entry_data("refused", told))
        await bench.viewer.types("/audit --outcome refused")
        await bench.viewer.clicks(await bench.viewer.sees("1 refusal"), "Send CSV")
        await bench.viewer.sees("audit-refused.csv was sent to you as a direct message")
        sent = next(one for one in bench.viewer.messages("dm") if one.files)
        rows = list(csv.reader(io.StringIO(bench.viewer.file(sent).decode("utf-8-sig"))))
        why = rows[0].index("Why")
        assert not [cell for row in rows for cell in row if cell.lstrip().startswith(("=", "@", "+", "-"))]
        assert rows[1][why] == "'=HYPERLINK(0) <!channel>"


async def test_the_story_of_a_ticket_is_every_entry_of_it(bench):
    async with bench.running():
        plan = await drained(bench)
        done = next(one for one in bench.viewer.messages("hv-ops") if one.ts == plan.ts)
        await bench.viewer.clicks(done, "History")
        window = await bench.viewer.sees_view("Before:")
        told = plain_text(window)
        kinds = [one.kind for one in bench.ledger.story("T-1") if f"*{one.seq}* · " in told]
        assert not {"clicked", "shown"} & set(kinds)
        assert {"proposed", "approved", "started", "intent", "outcome", "done"} <= set(kinds)
        await bench.viewer.clicks(window, "All Entries")
        window = await bench.viewer.sees_view("pressed approve")
        told = plain_text(window)
        story = bench.ledger.story("T-1")
        shown = [one for one in story if f"*{one.seq}* · " in told]
        assert [one.kind for one in shown] == [one.kind for one in story][: len(shown)]
        assert len(shown) >= len(story) - 1  # the click that opened it may be younger than the window
        for fact in (
            "paused no",
            "paused yes",
            "<@U0APPROVER>",
            "requested /repair hv03",
            "step 2, Fix hv03: done",
            "Digest:",
        ):
            assert fact in told
        await bench.viewer.clicks(window, "Send as File")
        await bench.until(lambda: any(one.files for one in bench.viewer.messages("dm")))
        sent = next(one for one in bench.viewer.messages("dm") if one.files)
        text = bench.viewer.file(sent, "story-T-1").decode()
        assert all(f"{one.seq}  {one.at}  {one.kind}" in text for one in shown)
        assert all(one.mac.hex() in text for one in shown)
        assert "done when:" in text


async def test_a_broken_chain_is_the_first_thing_said(bench):
    async with bench.running():
        await drained(bench)
        database = sqlite3.connect(bench.ledger.path)
        broken = next(one.seq for one in bench.ledger.story("T-1") if one.kind == "approved")
        database.execute("DROP TRIGGER entry_stays")
        database.execute("UPDATE entry SET body = replace(body, 'approver', 'nobody') WHERE kind = 'approved'")
        database.commit()
        database.close()
        await bench.viewer.types("/audit prod")
        answer = await bench.viewer.sees(f"AUDIT CHAIN BROKEN at entry {broken}")
        assert answer.text == f"AUDIT CHAIN BROKEN at entry {broken}"
        assert f"Entries 1 to {broken - 1} hold" in plain_text(answer)
        assert json.dumps(answer.blocks)


async def test_home_says_what_waits_and_what_happened_and_decides_nothing(bench):
    async with bench.running():
        await drained(bench)
        await bench.operator.types("/repair hv03")
        await bench.until(lambda: "shown" in bench.kinds("T-2"))
        await bench.approver.opens_home()
        home = await bench.approver.sees_home("1 to decide")
        told = plain_text(home)
        assert re.search(r"\*T-2\* Repair on hv03 · requested by <@U0OPERATOR> · \*(29|30) min left\*", told)
        assert "What happened" in told
        assert all(word in told for word in ("T-1", "done", "approver", "newest anchor matches", "*Bot:* read-write"))
        labels = [
            one["text"]["text"] for block in home.blocks if block["type"] == "actions" for one in block["elements"]
        ]
        assert "Open Plan" in labels
        assert not {"Approve", "Reject…", "Confirm"} & set(labels)
        await bench.approver.clicks(home, "Audit")
        await bench.approver.sees("Audit, 24 h: 2 changes, 1 refusal", "dm")

        await bench.viewer.opens_home()
        home = await bench.viewer.sees_home("Nothing to decide")
        assert "T-1" in plain_text(home)


async def test_home_shows_nothing_of_places_one_may_not_see(bench):
    nobody = bench.slack.person("nobody")
    async with bench.running() as bot:
        await drained(bench)
        await bench.operator.types("/repair hv03")
        await bench.until(lambda: "proposed" in bench.kinds("T-2"))
        await nobody.opens_home()
        assert "T-1" not in plain_text(await nobody.sees_home("You have no role"))
        elsewhere = Person(
            "T0/U9", "of branch", {Role.OPERATOR: frozenset({"branch"}), Role.VIEWER: frozenset({"branch"})}
        )
        changes = bot.desk.parts.changes
        assert await changes.open_tickets(elsewhere) == ([], 0)
        assert [list(one) for one in (await changes.waits_for(elsewhere))[:3]] == [[], [], []]
        assert (await bot.desk.parts.reviews.recent(elsewhere, 10))[0] == ()


async def test_a_home_whose_table_slack_rejects_is_shown_as_text(bench):
    async with bench.running():
        await drained(bench)
        bench.slack.faults.add("views.publish", "invalid_arguments")
        await bench.viewer.opens_home()
        home = await bench.viewer.sees_home("What happened")
        assert "data_table" not in json.dumps(home.blocks)
        assert "repair" in plain_text(home)


async def test_a_story_is_drawn_and_written_beside_the_loop_and_held_while_it_is_sent(bench, monkeypatch):
    """A soak has twenty thousand entries: its story held everybody for seconds, page by page."""
    loop, threads, told, sent = threading.get_ident(), {}, [], asyncio.Event()

    def noting(name):
        real = getattr(story_render, name)

        def render(*given, **named):
            threads.setdefault(name, set()).add(threading.get_ident())
            return real(*given, **named)

        monkeypatch.setattr(story_render, name, render)

    noting("story_view")
    noting("story_file")
    async with bench.running() as bot:
        plan = await drained(bench)
        await bench.viewer.types("/audit prod")
        await bench.viewer.clicks(await bench.viewer.sees("Audit prod, 24 h"), "History T-1")
        await bench.viewer.sees_view("T-1")
        files = bot.outbox.files

        async def slow(*given, **named):
            told.append(bot.desk.parts.pipeline.turns._people[f"T0PRACTICE/{bench.viewer.id}"].inside)
            await sent.wait()
            await files(*given, **named)

        monkeypatch.setattr(bot.outbox, "files", slow)
        await bench.viewer.clicks(bench.viewer.views()[-1], "Send as File")
        await bench.until(lambda: told)
        sent.set()
        await bench.until(lambda: any(one.files for one in bench.viewer.messages("dm")))
    assert plan
    assert told == [1], "it takes the turn of who asked"
    assert threads.keys() == {"story_view", "story_file"}
    assert loop not in set().union(*threads.values())


async def test_the_searches_of_one_person_hold_up_nobody_elses_and_no_thread_that_decides(bench, monkeypatch):
    """In a ledger of years each takes seconds. All of them are by one reader otherwise, and each holds a thread meanwhile."""
    held, page = threading.Event(), Review.page
    under_way = []

    def slow(review, person, *given):
        if person.name == "viewer":
            under_way.append(review)
            held.wait(20)
        return page(review, person, *given)

    monkeypatch.setattr(Review, "page", slow)
    async with bench.running() as bot:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4))
        for _ in range(8):
            await bench.viewer.types("/audit prod")
        await bench.until(lambda: under_way)
        for _ in range(8):
            await bench.viewer.opens_home()
        await bench.approver.types("/audit prod")
        await bench.approver.sees("Audit prod, 24 h")
        await bench.operator.types("/repair hv03")
        await bench.viewer.sees("Repair on hv03?", "hv-ops")
        assert len(under_way) == 1
        held.set()
        await bench.until(lambda: len(entries(bench, "answered")) == 9)
        await bench.until(lambda: bot.desk.parts.reviews._free.qsize() == 2)


async def test_a_file_of_an_audit_holds_up_nobody_elses_search(bench, monkeypatch):
    """Fifty thousand rows take half a minute. Two people who want such a file have them one after the other.

    Who waits for another one's file has their own searches meanwhile, and so has who waits for their own.
    """
    held, iter_all, making = threading.Event(), Review.iter_all, []

    def slow(*given):
        making.append(threading.get_ident())
        held.wait(20)
        return iter_all(*given)

    monkeypatch.setattr(Review, "iter_all", slow)
    async with bench.running():
        await drained(bench)
        for person in (bench.viewer, bench.operator):
            await person.types("/audit")
            await person.clicks(await person.sees("Audit, 24 h"), "Send CSV")
        await bench.until(lambda: making)
        for person in (bench.approver, bench.viewer, bench.operator):
            await person.types("/audit prod")
            await person.sees("Audit prod, 24 h")
        assert len(making) == 1
        held.set()
        for person in (bench.viewer, bench.operator):
            await bench.until(lambda who=person: any(one.files for one in who.messages("dm")))


async def test_whoever_opens_home_again_and_again_has_it_drawn_once_more(bench, monkeypatch):
    """Each takes a look at all answers of the ledger: none of them by what decides."""
    held, looked, by_the_ledger = threading.Event(), [], []
    last_answers, entries_of = Review.last_answers, bench.ledger.entries

    def slow(review, person, most):
        looked.append(person.name)
        held.wait(20)
        return last_answers(review, person, most)

    def noted(**wanted):
        by_the_ledger.append(wanted)
        return entries_of(**wanted)

    monkeypatch.setattr(Review, "last_answers", slow)
    monkeypatch.setattr(bench.ledger, "entries", noted)
    async with bench.running() as bot:
        for _ in range(20):
            await bench.viewer.opens_home()
        await bench.until(lambda: looked)
        held.set()
        await bench.until(lambda: not bot.desk._homes)
        await bench.viewer.sees_home("None yet.")
    assert looked == ["viewer"] * 2
    assert not [one for one in by_the_ledger if one.get("kind") == "answered"]


async def test_who_has_no_role_any_more_is_told_nothing_by_the_filters_of_an_old_answer(bench):
    async with bench.running() as bot:
        await drained(bench)
        await bench.viewer.types("/audit prod")
        answer = await bench.viewer.sees("Audit prod, 24 h")
        bot.people._rules = ()
        await bench.viewer.clicks(answer, "Filter…")
        await bench.viewer.sees("You have no role in hvops")
        assert not bench.viewer.views()
        (refused,) = [one.data for one in bench.ledger.entries(kind="refused") if one.fields["line"] == "/audit filter"]
        assert refused.category == "not allowed"
