import asyncio
import gc
import threading
import weakref
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

import pytest

from bot.api.arguments import Target
from bot.api.facts import Known, Unknown, value_of, values_of
from bot.api.queries import (
    DoneChanges,
    GuestRegistry,
    GuestWql,
    Predicate,
    Registry,
    RunReader,
    SampleHistory,
    WinRMConfig,
    Wql,
    make_params,
)
from bot.api.rows import CellError, get_int, get_str
from bot.api.sources import Source
from bot.dispatch import query_session
from bot.dispatch.query_session import MAX_EVIDENCE, MAX_QUESTIONS, Progress, QuerySession, describe
from bot.errors import AuthenticationFailed, ConnectionFailed, HostNotKnown, TargetTimeout, UsageError
from bot.transport.allowlist import PROGRAMS
from bot.transport.client import QueryResult
from bot.transport.windows.host_operations import Output
from bot.transport.windows.program_output import OutputNotParsed, rows_of

NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)


@dataclass
class Limits:
    per_host_seconds: float = 20
    overall_seconds: float = 60


@dataclass
class World:
    """Answers what it was told; a name without an answer hangs."""

    rows: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    by: dict[str, str] = field(default_factory=dict)
    raws: dict[str, str] = field(default_factory=dict)
    asked: list[object] = field(default_factory=list)
    cancelled: int = 0
    gates: dict[str, asyncio.Event] = field(default_factory=dict)

    async def answer(self, question, seconds=20.0):
        self.asked.append((question, seconds))
        await asyncio.sleep(0)
        if gate := self.gates.get(question.on):
            await gate.wait()
        if error := self.errors.get(question.on):
            raise error
        if question.on not in self.rows:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        raw = self.raws.get(question.on, f"raw {question.on}")
        return QueryResult(self.rows[question.on], raw, self.by.get(question.on, question.on))


def nodes(on):
    return Wql(on, "root/MSCluster", "MSCluster_Node", ("Name",))


def looking(world, progress=None, recall=lambda _: (), **limits):
    return QuerySession(world, recall, NOW, Limits(**limits), progress)


async def until(condition):
    while not condition():  # noqa: ASYNC110 - the loop itself makes it true
        await asyncio.sleep(0)


def first(rows):
    return get_str(rows[0], "Name")


async def test_each_answers_under_its_key_in_order_and_one_failure_spoils_nothing():
    world = World(
        {"hv01": [{"Name": "a"}], "hv03": [{"Name": "c"}]},
        {"hv02": AuthenticationFailed("hv02", "the login was refused.", "Check it.")},
    )
    look = looking(world)
    found = await look.query_many({n: Source(nodes(n), first) for n in ("hv03", "hv02", "hv01")})
    assert list(values_of(found).items()) == [
        ("hv03", "c"),
        ("hv02", Unknown("hv02", "login refused", "the login was refused.", "Check it.")),
        ("hv01", "a"),
    ]
    assert look.now == NOW
    assert look.asked == ("hv03", "hv02", "hv01")
    assert look.answered == ("hv03", "hv01")
    assert {(one.on, one.query, one.raw, one.error) for one in look.evidence} == {
        ("hv01", "root/MSCluster: SELECT Name FROM MSCluster_Node", "raw hv01", ""),
        ("hv03", "root/MSCluster: SELECT Name FROM MSCluster_Node", "raw hv03", ""),
        ("hv02", "root/MSCluster: SELECT Name FROM MSCluster_Node", "", "hv02: the login was refused. Check it."),
    }


async def test_the_same_question_goes_out_once_but_is_read_by_each():
    world = World({"hv01": [{"Name": "7"}]})
    look = looking(world)
    results = await asyncio.gather(
        look.query(Source(nodes("hv01"), first)),
        look.query(Source(nodes("hv01"), lambda rows: get_int(rows[0], "Name"))),
    )
    again = await look.query(Source(nodes("hv01"), first))
    assert [one.value for one in (*results, again)] == ["7", 7, "7"]
    assert {(one.asked, one.answered) for one in results} == {(again.asked, again.answered)}
    assert len(world.asked) == 1
    assert len(look.evidence) == 1
    await look.query(Source(Wql("hv01", "root/MSCluster", "MSCluster_Node", ("State",)), len))
    assert len(world.asked) == 2


async def test_an_answer_is_read_once_by_each_reader_however_long_it_is():
    world = World({"hv01": [{"Name": str(at)} for at in range(2_000)]})
    look, times = looking(world), []

    def names(rows):
        times.append(len(rows))
        return [row["Name"] for row in rows]

    one, *others = await asyncio.gather(*(look.query(Source(nodes("hv01"), names)) for _ in range(9)))
    assert times == [2_000]
    assert all(other.value is one.value for other in others)
    assert (await look.query(Source(nodes("hv01"), len))).value == 2_000


async def test_an_answer_carries_its_times():
    before = datetime.now(UTC)
    found = await looking(World({"hv01": [{"Name": "a"}]})).query(Source(nodes("hv01"), first))
    assert isinstance(found, Known)
    assert before <= found.asked <= found.answered <= datetime.now(UTC)
    assert found.asked.tzinfo is UTC


async def test_the_times_of_whoever_carried_it_out_count():
    class Timed(World):
        async def answer(self, question, seconds=20.0):
            return replace(await super().answer(question, seconds), asked=NOW, answered=NOW)

    found = await looking(Timed({"hv01": [{"Name": "a"}]})).query(Source(nodes("hv01"), first))
    assert found == Known("a", NOW, NOW)


@pytest.mark.parametrize("error", [CellError("Name", 3), ValueError("odd"), OverflowError("too large")])
async def test_an_answer_that_cannot_be_read_is_unanswered(error):
    def read(_):
        raise error

    look = looking(World({"hv01": [{}]}))
    found = await look.query(Source(nodes("hv01"), read))
    assert (found.target, found.kind) == ("hv01", "bad reply")
    assert look.answered == ()
    assert look.evidence[-1].error


async def test_our_own_bugs_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        await looking(World({"hv01": [{}]})).query(Source(nodes("hv01"), lambda _: 1 // 0))


async def test_the_whole_request_has_an_end_and_the_answers_so_far_stand():
    world = World({"hv01": [{"Name": "a"}]})
    look = looking(world, overall_seconds=0.05)
    found = await look.query_many({n: Source(nodes(n), first) for n in ("hv01", "hv02")})
    assert value_of(found["hv01"]) == "a"
    assert found["hv02"].kind == "out of time"
    assert world.cancelled == 1


async def test_the_deadline_of_one_host_is_passed_on():
    world = World({"hv01": [{"Name": "a"}]})
    await looking(world, per_host_seconds=7).query(Source(nodes("hv01"), first))
    assert world.asked[0][1] == 7


async def test_a_request_that_is_given_up_asks_no_more():
    world = World()
    task = asyncio.create_task(looking(world).query_many({n: Source(nodes(n), first) for n in ("hv01", "hv02")}))
    await until(lambda: len(world.asked) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: world.cancelled == 2)


async def test_evidence_and_failures_name_the_entry_host_of_a_cluster():
    world = World({"prod": [{"Name": "a"}]}, {"branch": TargetTimeout("br01", "no answer in 20 s.")}, {"prod": "hv02"})
    look = looking(world)
    await look.query(Source(nodes("prod"), first))
    found = await look.query(Source(nodes("branch"), first))
    assert look.evidence[0].on == "prod via hv02"
    assert found == Unknown("branch", "timed out", "br01: no answer in 20 s.")


async def test_output_that_was_not_understood_is_kept():
    look = looking(World(errors={"hv01": OutputNotParsed("hv01", "it breaks off.", "Writer na")}))
    await look.query(Source(RunReader("hv01", "vssadmin list writers"), len))
    assert (look.evidence[0].query, look.evidence[0].raw) == ("vssadmin list writers", "Writer na")


async def test_output_that_was_not_understood_counts_as_evidence_and_why_is_a_sentence():
    """A host chooses how long it is, and each question of a request has another answer."""
    names = [f"hv{number:02d}" for number in range(8)]
    errors = {name: OutputNotParsed(name, f"it breaks off at {'x' * 100_000}.", "\x01" * 2**20) for name in names}
    look = looking(World(errors=errors))
    found = [await look.query(Source(RunReader(name, "vssadmin list writers"), len)) for name in names]
    assert sum(len(one.raw) for one in look.evidence) < MAX_EVIDENCE + 1_000
    assert look.evidence[-1].raw.endswith("more characters not kept]")
    assert max(len(one.error) for one in look.evidence) <= 4_000
    assert max(len(one.why) for one in found) <= 4_000


def test_of_output_that_no_parser_takes_an_error_carries_no_more_than_is_kept():
    with pytest.raises(OutputNotParsed) as refused:
        rows_of(
            "hv01",
            PROGRAMS["vssadmin list writers"],
            RunReader("hv01", "vssadmin list writers"),
            Output("x" * 3_000_000, "y", 0),
        )
    assert len(refused.value.raw) == 2**20


@pytest.mark.parametrize(("raw", "shown"), [('{"jobs": [{"id": 7}]}', "job: 7"), ("Writer name: 'System Writer'", "")])
async def test_a_reply_in_json_is_shown_as_rows_and_a_programs_output_as_it_is(raw, shown):
    world = World({"commvault": [{"job": 7}]}, raws={"commvault": raw})
    look = looking(world)
    await look.query(Source(RunReader("commvault", "commvault active jobs"), len))
    assert (look.evidence[0].raw, look.evidence[0].rendered) == (raw, shown)


async def test_memory_comes_from_the_ledger():
    world = World()
    look = looking(world, recall=lambda question: [{"at": "x", "state": question.what}])
    found = await look.query(Source(SampleHistory("hv01", "writer"), lambda rows: rows[0]["state"]))
    assert value_of(found) == "writer"
    look = looking(world, recall=lambda question: [{"ticket": "T-1", "for": question.command}])
    found = await look.query(Source(DoneChanges("prod", "drill"), lambda rows: rows[0]["for"]))
    assert value_of(found) == "drill"
    assert look.evidence[0].raw == "1 changes in the ledger"
    assert world.asked == []
    assert look.asked == ()


async def test_progress_counts_targets_and_names_who_is_waited_for():
    world = World({n: [{"Name": n}] for n in ("hv01", "hv02")}, gates={"hv02": asyncio.Event()})
    told = []
    look = looking(world, told.append)
    task = asyncio.create_task(look.query_many({n: Source(nodes(n), first) for n in ("hv01", "hv02")}))
    await until(lambda: Progress(1, 2, ("hv02",)) in told)
    world.gates["hv02"].set()
    await task
    assert told[-1] == Progress(2, 2, ())
    assert Progress(0, 2, ("hv01", "hv02")) in told


async def test_unreachable_guests_are_named_by_their_own_name():
    world = World(errors={"sql-01": ConnectionFailed("sql-01", "no.")})
    question = GuestWql("sql-01", "sql-01.corp.example", "id", "root/cimv2", "Win32_Volume")
    assert (await looking(world).query(Source(question, len))).target == "sql-01"


def test_questions_as_an_engineer_writes_them():
    where = (Predicate("Name", "=", "it's"),)
    assert describe(Wql("a", "root/cimv2", "C", (), where)) == "root/cimv2: SELECT * FROM C WHERE Name = 'it\\'s'"
    assert describe(Registry("a", "SOFTWARE\\X", ("v", "w"))) == "HKLM\\SOFTWARE\\X: v, w"
    assert describe(GuestRegistry("a", "a.b", "i", "SOFTWARE\\X")) == "HKLM\\SOFTWARE\\X: subkeys"
    assert describe(SampleHistory("a", "writer", 24)) == "ledger: writer of the last 24 hours"
    assert describe(DoneChanges("crm", "drill")) == "ledger: drill that is done"
    failed = DoneChanges("crm", "drill", "2026-11-01T00:00:00Z", ("done", "failed"))
    assert describe(failed) == "ledger: drill that is done or failed since 2026-11-01T00:00:00Z"
    assert describe(WinRMConfig("a")) == "winrm/config"
    assert describe(Wql("a", "root/cimv2", "no class")) == "root/cimv2: no class"
    assert describe(RunReader("a", "unknown")) == "unknown"
    assert describe(RunReader("commvault", "commvault job", make_params(job=7))) == "GET Job/7"
    assert describe(RunReader("commvault", "commvault job", make_params(job="x"))) == "commvault job"
    assert (
        describe(RunReader("a", "wevtutil query events", make_params(channel="/x", ids="1"))) == "wevtutil query events"
    )
    assert describe(RunReader("a", "wevtutil query events", make_params(channel="System", ids="1", most=3))) == (
        "wevtutil qe System /q:*[System[(EventID=1)]] /f:xml /rd:true /c:3 /uni:true"
    )


class Discovery:
    """An inventory that learns of hv07 when it is asked for any name."""

    def __init__(self, *, answers=True):
        self.homes, self.asked, self.answers = {"prod": "prod"}, [], answers

    async def find(self, name):
        self.asked.append(name)
        if not self.answers:
            await asyncio.Event().wait()
        self.homes["hv07"] = "prod"
        if name not in self.homes:
            raise UsageError(f"There is no cluster or host {name} in the inventory.")
        return Target(name, "host", "prod")

    def session(self, world, **limits):
        place, find = lambda name: self.homes.get(name, ""), self.find
        return QuerySession(world, lambda _: (), NOW, Limits(**limits), place=place, find=find)


async def test_a_name_from_an_answer_is_discovered_before_it_is_asked():
    world, known = World({"hv07": [{"Name": "hv07"}], "x": []}), Discovery()
    look = known.session(world)
    assert value_of(await look.query(Source(nodes("hv07"), len))) == 1
    assert known.asked == ["hv07"]
    assert value_of(await look.query(Source(nodes("hv07"), first))) == "hv07"
    await asyncio.gather(*(look.query(Source(nodes(name), len)) for name in ("x", "x", "hv07")))
    assert known.asked == ["hv07"], "one look at the clusters is enough for a request"


async def test_databases_guests_and_products_are_no_hosts_to_discover():
    world, known = World({"vmm": [], "guest": [], "commvault": []}), Discovery()
    look = known.session(world)
    await look.query(Source(RunReader("vmm", "vmm hosts"), len))
    await look.query(Source(RunReader("commvault", "commvault active jobs"), len))
    await look.query(Source(GuestWql("guest", "guest.a", "id", "root/cimv2", "X", ("Name",)), len))
    assert known.asked == []


async def test_a_discovered_host_of_another_cluster_is_not_asked():
    """The role counts where the host is, also if nobody knew where that was a moment ago."""
    world = World({"hv07": [{"Name": "hv07"}]})
    look = Discovery().session(world)
    look.places = frozenset({"branch"})
    refused = await look.query(Source(nodes("hv07"), len))
    assert isinstance(refused, Unknown)
    assert refused.kind == "not allowed"
    assert world.asked == []


async def test_a_host_is_found_by_its_name_and_a_stranger_is_unknown():
    look = Discovery().session(World())
    assert await look.find_host("hv07") == Target("hv07", "host", "prod")
    stranger = await look.find_host("fs01.other.example")
    assert isinstance(stranger, Unknown)
    assert (stranger.target, stranger.kind) == ("fs01.other.example", "not in the inventory")
    assert "There is no cluster or host fs01.other.example" in stranger.why
    assert stranger in look.unanswered


async def test_a_name_of_which_a_silent_cluster_may_be_the_owner_is_unknown_and_no_stranger():
    """ "It is not in the inventory" would say that it is none of ours, and the silence says nothing of the kind."""
    says = "Cluster branch has not answered, so it is not known whether “br07” is a host."

    async def find(name):
        raise HostNotKnown(says)

    world = World({"br07": []})
    look = QuerySession(world, lambda _: (), NOW, Limits(), find=find)
    found = await look.find_host("br07")
    assert (found.kind, found.why, found.remedy) == ("not known", says, "Ask again when it answers.")
    asked = await look.query(Source(nodes("br07"), len))
    assert (asked.kind, asked.why) == ("out of time", says)
    assert world.asked == []
    assert set(look.unanswered) == {found, asked}


async def test_clusters_that_are_silent_cost_no_more_than_the_request_has():
    look = Discovery(answers=False).session(World({"hv07": []}), overall_seconds=0.05)
    assert isinstance(await look.find_host("hv07"), Unknown)
    late = await look.query(Source(nodes("hv07"), len))
    assert isinstance(late, Unknown)
    assert late.kind == "out of time"


async def test_a_cluster_that_names_a_foreign_host_brings_nobody_there():
    """Whoever may ask about branch alone must not see hv01 of prod because branch calls it a node."""
    world = World({"hv01": [{"Name": "hv01"}], "br01": [{"Name": "br01"}], "guest": [{"Name": "guest"}]})
    homes = {"hv01": "prod", "br01": "branch"}
    look = QuerySession(world, lambda _: ({"at": NOW},), NOW, Limits(), place=lambda name: homes.get(name, ""))
    look.places = frozenset({"branch"})
    refused = await look.query(Source(nodes("hv01"), tuple))
    assert isinstance(refused, Unknown)
    assert (refused.kind, refused.why) == ("not allowed", "it belongs to prod, and this question is about branch.")
    assert isinstance(await look.query(Source(SampleHistory("hv01", "writers"), tuple)), Unknown)
    assert value_of(await look.query(Source(nodes("br01"), len))) == 1
    guest = GuestWql("guest", "guest.corp.example", "id", "root/cimv2", "X", ("Name",))
    assert value_of(await look.query(Source(guest, len))) == 1
    assert [question.on for question, _ in world.asked] == ["br01", "guest"]


async def test_of_thousands_of_questions_some_hundreds_are_under_way_at_a_time():
    """A host names as many guests as one answer holds: a task for each took hundreds of megabytes, and held the loop."""
    names = [f"g{number}" for number in range(5_000)]
    most, told, asked = 0, [], count()

    class Counting(World):
        async def answer(self, question, seconds=20.0):
            nonlocal most
            if next(asked) % 50 == 0:  # to count them takes a while, and a slow machine has to have done in time
                most = max(most, len(asyncio.all_tasks()))
            return await super().answer(question, seconds)

    look = looking(Counting({name: [{"Name": name}] for name in names}), told.append, overall_seconds=600)
    found = await look.query_many({name: Source(nodes(name), first) for name in names})
    assert list(found) == names
    assert {value_of(one) for one in found.values()} == set(names)
    assert most < 1_000
    assert max(len(one.waiting) for one in told) < 1_000
    assert told[-1] == Progress(5_000, 5_000, ())


async def test_one_request_asks_no_more_than_so_many_questions(monkeypatch):
    """A cluster names what each of them is about."""
    monkeypatch.setattr("bot.dispatch.query_session.MAX_QUESTIONS", 10)
    names = [f"g{number}" for number in range(12)]
    world = World({name: [{"Name": name}] for name in names})
    look = looking(world)
    found = await look.query_many({name: Source(nodes(name), first) for name in names})
    assert len(world.asked) == 10
    more = [one for one in found.values() if isinstance(one, Unknown)]
    assert [one.kind for one in more] == ["not allowed"] * 2
    assert more[0].why == "not asked: this question has already led to 10 others."
    assert set(more) <= set(look.unanswered)
    assert value_of(await look.query(Source(nodes("g0"), first))) == "g0"  # what was asked has its answer
    assert MAX_QUESTIONS >= 4_096 * 6


async def test_of_many_failures_the_evidence_keeps_what_there_is_room_for_and_their_number():
    """A host chooses what it says in each, and the ledger keeps evidence for good."""
    names = [f"g{number}" for number in range(1_500)]
    look = looking(World(errors={name: ConnectionFailed(name, f"{name} {'x' * 6_000}.") for name in names}))
    found = await look.query_many({name: Source(nodes(name), first) for name in names})
    assert all(isinstance(one, Unknown) for one in found.values())
    assert sum(len(one.query) + len(one.raw) + len(one.error) for one in look.evidence) < MAX_EVIDENCE + 1_000
    more = next(one for one in look.evidence if one.query == "further questions")
    kept = len(look.evidence) - 1
    assert more.error == f"{len(names) - kept:,} more questions had no answer; they are not listed individually."


async def test_of_a_failure_no_more_is_kept_than_what_it_says():
    """An error holds all that it was raised through, and one request can have tens of thousands."""

    class Refusing(World):
        async def answer(self, question, seconds=20.0):
            refused = ConnectionFailed(question.on, "connection refused.")
            raised.append(weakref.ref(refused))
            raise refused

    raised: list[weakref.ref[Exception]] = []
    look = looking(Refusing())
    await look.query_many({name: Source(nodes(name), first) for name in ("hv01", "hv02")})
    gc.collect()
    assert [one() for one in raised] == [None, None]


async def test_when_the_time_of_a_request_is_over_nobody_is_asked_any_more():
    world = World({"hv01": [{"Name": "a"}]})
    look = looking(world, overall_seconds=60)
    look.count_from(asyncio.get_running_loop().time() - 61)
    found = await look.query(Source(nodes("hv01"), first))
    assert found == Unknown("hv01", "out of time", "no answer within the 60 s of the whole question.")
    assert world.asked == []
    assert (look.asked, look.answered) == (("hv01",), ())
    assert look.evidence[0].error == "no answer within the 60 s of the whole question."


async def test_thousands_of_names_that_are_known_are_looked_up_while_others_work():
    """A service lists clients in as many spellings as it likes; none of them needs to be waited for."""

    async def known(name):
        return Target("hv07", "host", "prod")

    look = QuerySession(World(), lambda _: (), NOW, Limits(), find=known)
    begun = asyncio.create_task(look.find_host("hv07"))
    others = 0
    while not begun.done():
        others += 1
        await asyncio.sleep(0)
    assert others > 1


@pytest.mark.parametrize("raw", ["x" * 100_000, "x"])
async def test_a_few_rows_that_are_long_are_read_beside_the_loop(raw, monkeypatch):
    """One row can have hundreds of thousands of cells."""
    world, where = World({"hv01": [{"Name": "hv01"}]}), []
    answer = world.answer

    async def longer(question, seconds=20.0):
        return replace(await answer(question, seconds), raw=raw)

    def noted(rows):
        where.append(threading.current_thread() is threading.main_thread())
        return str(rows)

    monkeypatch.setattr(world, "answer", longer)
    monkeypatch.setattr("bot.dispatch.query_session.format_rows", noted)
    await looking(world).query(Source(nodes("hv01"), noted))
    assert where == [len(raw) == 1] * 2


@pytest.mark.parametrize("raw", ["", "the first page"])
async def test_one_long_row_is_read_beside_the_loop_though_its_text_was_not_kept(raw):
    """Of a long answer a part of the text is not kept; reading a million items of one row takes seconds."""
    names = []

    def read(rows):
        names.append(threading.current_thread())
        return len(rows)

    answer = QueryResult([{"items": ["<r"] * 40_000}] * 3, raw, "hv01")
    assert await query_session._beside(read, answer) == 3
    assert names[0] is not threading.main_thread()
