"""What a worker with its site's key can answer that is no answer: told as one that cannot be read, and of an action as begun."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from site_queue import action, errand, question

from bot.errors import ConnectionFailed, MalformedResponse, OutcomeUnknown, TargetFault
from bot.transport.errand import carrying_out
from bot.transport.sites import client as sited
from bot.transport.sites.database import Clock
from bot.transport.sites.messages import dumps, encode_answer, join_part
from bot.transport.sites.signing import SiteKey

slow = pytest.mark.postgresql  # what takes seconds, in `make test-postgres`
HOST = "branch1-1"
NOW = datetime.now(UTC)


class Hands:
    """A worker's login and its site's key, in other hands."""

    def __init__(self, place):
        self.key = SiteKey.of("branch1", place.keys["branch1"])
        self.me = uuid.uuid4()
        self.connection = psycopg.connect(place.worker("branch1").url, autocommit=True)

    async def take(self):
        """The id of the next task."""
        async with asyncio.timeout(30):
            while not (rows := self._call("SELECT * FROM hvops_sites.take(%s, 64)", self.me)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return rows[0][0]

    def begin(self, task):
        assert self._call("SELECT hvops_sites.begin_action(%s, %s)", self.me, task) == [("begun",)]

    def send(self, task, body, number=0, *, is_last=True):
        """Whether it was taken."""
        values = (self.me, task, 1, number, body, self.key.sign_reply(body), is_last)
        return self._call("SELECT hvops_sites.answer(%s, %s, %s, %s, %s, %s, %s)", *values)[0][0]

    def _call(self, statement, *values):
        return self.connection.execute(statement, values).fetchall()


@pytest.fixture
async def hands(place, asking):
    """After a bot has made the queue."""
    async with asking():
        pass
    made = Hands(place)
    yield made
    made.connection.close()


def told(**more):
    return dumps({"rows": [], "raw": "", "by": HOST, **more})


def error(kind="TargetFault", **more):
    return dumps({"error": kind, "on": HOST, "says": "no.", "do": "", **more})


def lines(*rest, texts="[]"):
    return "\n".join((f'{{"by": "{HOST}", "columns": ["a"], "raw": "", "texts": {texts}}}', *rest))


def at(**later):
    return (NOW + timedelta(**later)).isoformat()


TEXTS = {
    "a number": "5",
    "a list": "[]",
    "nothing": "null",
    "no json": "{",
    "rows that are none": told(rows=5),
    "rows of numbers": told(rows=[5]),
    "a text that is none": told(raw=5),
    "not a number": told().replace('"rows":[]', '"rows":[{"a":NaN}]'),
    "an infinity beside it": told().replace('"rows":[]', '"rows":[],"x":-Infinity'),
    "a number beyond all": told().replace('"rows":[]', '"rows":[],"x":1e999'),
    "a fraction": told(rows=[{"a": 1.5}]),
    "65 bits": told(rows=[{"a": 2**64}]),
    "a negative number of 64 bits": told(rows=[{"a": -(2**63) - 1}]),
    "a name twice": told().replace('"raw":""', '"raw":"","raw":"x"'),
    "a column twice": told().replace('"rows":[]', '"rows":[{"a":"1","a":"2"}]'),
    "halves of two names": told().replace('"rows":[]', r'"rows":[{"\ud800":"1","\ud801":"2"}]'),
    "by a number": told(by=5),
    "by nobody": told(by=""),
    "by a long name": told(by="x" * 256),
    "one time": told(asked=at()),
    "answered first": told(asked=at(seconds=1), answered=at()),
    "next year": told(asked=at(), answered=at(days=400)),
    "times that are none": told(asked="now", answered="now"),
    "a time without a zone": told(asked="2026-11-30T10:00:00", answered="2026-11-30T10:00:00"),
    "an error that is a number": error(5),
    "an error that nobody knows": error("Unheard"),
    "a code that is a fraction": error(code=1.5),
    "a code of 65 bits": error(code=2**64),
    "a code that is true": error(code=True),
    "a negative number of lines": lines('["x"]', texts="[-1]"),
    "a huge number of lines": lines('["x"]', texts=f"[{10**30}]"),
    "65 bits in lines": lines(f"[{2**64}]"),
    "a name twice in lines": lines('[{"row": {"a": 1, "a": 2}}]'),
    "deep": told().replace('"rows":[]', '"rows":' + "[" * 40 + "]" * 40),
}


def head(task, numbers, lengths, rest, **more):
    return dumps({"site": "branch1", "id": str(task), "part": 0, "numbers": numbers, "lengths": lengths, **more}) + rest


HONEST = encode_answer(sited.Answer(({"Name": HOST},), "raw", HOST))
PARTS = {
    "nothing": lambda _: "",
    "no line": lambda _: "{}",
    "no json": lambda _: "nonsense\n",
    "two answers": lambda task: head(task, [0, 0], [len(HONEST)] * 2, "\n" + HONEST * 2),
    "what was not asked": lambda task: head(task, [0, 7], [len(HONEST)] * 2, "\n" + HONEST * 2),
    "a negative number": lambda task: head(task, [-1], [len(HONEST)], "\n" + HONEST),
    "numbers that are texts": lambda task: head(task, ["0"], [len(HONEST)], "\n" + HONEST),
    "a huge length": lambda task: head(task, [0], [10**30], "\n" + HONEST),
    "a negative length": lambda task: head(task, [0, 1], [-1, len(HONEST) + 1], "\n" + HONEST),
    "many numbers": lambda task: head(task, list(range(180_000)), [0] * 180_000, "\n"),
    "an id twice": lambda task: head(task, [0], [len(HONEST)], "\n" + HONEST).replace(
        '"part"', f'"id":"{task}","part"'
    ),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_is_no_answer_comes_out_as_that(text):
    moment = time.monotonic()
    found = sited._decoded(text, Clock(told=datetime.now(UTC), heard=moment))
    assert isinstance(found, ValueError)
    assert type(sited._decoded(HONEST, Clock(told=datetime.now(UTC), heard=moment))) is sited.Answer


async def is_told(asking, hands, send):
    """What a worker sends is told to whoever asks, and to whoever acts, as what cannot be read."""
    act = action(HOST)
    async with asking() as client:
        asked = asyncio.create_task(client.answer(question(HOST)))
        send(await hands.take())
        with pytest.raises(MalformedResponse, match="the worker of branch1 sent an answer that cannot be read"):
            await asked
        with carrying_out(errand(act)):
            acting = asyncio.create_task(client.invoke(act, 60))
        task = await hands.take()
        hands.begin(task)
        send(task)
        with pytest.raises(OutcomeUnknown, match="effect unknown: the worker of branch1 sent an answer that cannot be"):
            await acting


@slow
@pytest.mark.parametrize("made", PARTS.values(), ids=PARTS)
async def test_a_part_that_cannot_be_read_is_told_to_whoever_asked(place, asking, hands, made):
    await is_told(asking, hands, lambda task: hands.send(task, made(task), is_last=False))


@pytest.mark.parametrize("text", [TEXTS["not a number"], TEXTS["a column twice"], TEXTS["a negative number of lines"]])
async def test_an_answer_that_cannot_be_read_is_told_to_whoever_asked(place, asking, hands, text):
    def send(task):
        hands.send(task, join_part({"site": "branch1", "id": str(task), "part": 0}, [0], [text]))

    await is_told(asking, hands, send)


@pytest.mark.parametrize("kind", ["Withheld", "NotBegun", "OutcomeUnknown"])
async def test_what_is_said_of_actions_is_no_answer_to_a_question(asking, hands, kind):
    """A check of a run that is told that changes are stopped would wait for them to go on."""
    async with asking() as client:
        asked = asyncio.create_task(client.answer(question(HOST)))
        task = await hands.take()
        hands.send(task, join_part({"site": "branch1", "id": str(task), "part": 0}, [0], [error(kind)]))
        with pytest.raises(MalformedResponse, match="cannot be read: it is one to an action"):
            await asked


async def test_an_answer_for_another_question_of_its_site_is_passed_over(asking, hands):
    async with asking() as client:
        first = asyncio.create_task(client.answer(question(HOST)))
        one = await hands.take()
        second = asyncio.create_task(client.answer(question("branch1-2")))
        two = await hands.take()
        assert one != two
        hands.send(one, join_part({"site": "branch1", "id": str(two), "part": 0}, [0], [HONEST]))
        with pytest.raises(MalformedResponse, match="ended without an answer"):
            await first
        hands.send(two, join_part({"site": "branch1", "id": str(two), "part": 0}, [0], [error()]))
        with pytest.raises(TargetFault):
            await second


async def test_of_two_answers_to_one_question_the_first_counts(asking, hands):
    async with asking() as client:
        asked = [asyncio.create_task(client.answer(question(f"branch1-{number}"))) for number in (1, 2)]
        task = await hands.take()
        answers = [
            encode_answer(sited.Answer(({"Name": name},), "raw", f"branch1-{number}"))
            for name, number in (("first", 1), ("second", 1), ("other", 2))
        ]
        hands.send(task, join_part({"site": "branch1", "id": str(task), "part": 0}, [0], answers[:1]), is_last=False)
        hands.send(task, join_part({"site": "branch1", "id": str(task), "part": 1}, [0, 1], answers[1:]), 1)
        found = await asyncio.gather(*asked)
    assert [dict(one.rows[0])["Name"] for one in found] == ["first", "other"]


@slow
async def test_what_is_answered_when_nobody_waits_any_more_changes_nothing(asking, hands, monkeypatch):
    monkeypatch.setattr(sited, "_NOBODY_SECONDS", 1_000)
    monkeypatch.setattr(sited, "_REPLY_GRACE", 0.2)
    act = action(HOST)
    async with asking() as client:
        with carrying_out(errand(act)):
            acting = asyncio.create_task(client.invoke(act, 1))
        task = await hands.take()
        hands.begin(task)
        with pytest.raises(OutcomeUnknown, match="has not said how it ended"):
            await acting
        assert hands.send(task, join_part({"site": "branch1", "id": str(task), "part": 0}, [0], [HONEST]))
        asked = asyncio.create_task(client.answer(question("branch1-2")))
        other = await hands.take()
        hands.send(other, join_part({"site": "branch1", "id": str(other), "part": 0}, [0], [error("ConnectionFailed")]))
        with pytest.raises(ConnectionFailed):
            await asked
        assert client.queue._lane(client.queue.sites["branch1"]).pending == {}


async def test_a_row_that_is_no_text_ends_nobodys_waiting(asking, hands, admin):
    async with asking() as client:
        asked = asyncio.create_task(client.answer(question(HOST)))
        task = await hands.take()
        admin.execute("ALTER TABLE reply ALTER body TYPE bytea USING convert_to(body, 'UTF8')")
        admin.execute("INSERT INTO reply VALUES (%s, 1, 0, 'x', 'x')", (task,))
        admin.execute("UPDATE task SET state = 'ended'")
        with pytest.raises(MalformedResponse, match="ended without an answer"):
            await asked
