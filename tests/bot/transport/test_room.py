"""Memory that replies of all hosts take while they are read: whoever finds no room waits, and nobody waits for ever."""

import asyncio
import threading
import time

import pytest

from bot.api.queries import Wql
from bot.config.inventory_file import InventoryFile
from bot.errors import QuotaExceeded
from bot.transport import bounds
from bot.transport import client as transport
from bot.transport.client import QueryResult, TargetClient
from bot.transport.room import Room
from bot.transport.routing import Credentials, Router
from bot.transport.windows import winrm, wsman

from .test_hostile_replies import Impostor, page, whole

LOGIN = Credentials("basic", "CORP\\reader", "Correct-Horse-7")


def for_ever():
    return time.monotonic() + 60


def until(condition):
    ends = for_ever()
    while not condition():
        assert time.monotonic() < ends
        threading.Event().wait(0.005)


class Taking(threading.Thread):
    """Takes room on a thread."""

    def __init__(self, room, *told):
        super().__init__(daemon=True)
        self.room, self.told, self.has = room, told, None
        self.start()

    def run(self):
        self.has = self.room.take(*self.told, for_ever())


def test_whoever_finds_no_room_waits_for_it():
    room = Room(100)
    assert room.take("one", "hv01", 50, for_ever())
    assert room.take("two", "hv02", 50, for_ever())
    three = Taking(room, "three", "hv03", 50)
    until(lambda: room.waiting == 1)
    room.give_back("two")
    three.join(60)
    assert three.has


def test_who_has_waited_its_time_gets_none():
    room = Room(100)
    assert room.take("one", "hv01", 90, for_ever())
    assert not room.take("two", "hv02", 50, time.monotonic())


def test_one_host_gets_half_so_that_another_one_finds_room():
    room = Room(100)
    assert room.take("one", "hv01", 50, for_ever())
    assert not room.take("two", "hv01", 1, time.monotonic())
    assert room.take("three", "hv02", 50, for_ever())


def test_whoever_has_held_longest_goes_on_so_nobody_waits_for_each_other():
    room = Room(100)
    assert room.take("one", "hv01", 40, for_ever())
    assert room.take("two", "hv02", 40, for_ever())
    second = Taking(room, "two", "hv02", 80)
    until(lambda: room.waiting == 1)
    assert room.take("one", "hv01", 80, time.monotonic())
    room.give_back("one")
    second.join(60)
    assert second.has
    assert room.take("three", "hv03", 20, time.monotonic())


def test_what_nobody_holds_is_given_back_by_nobody():
    room = Room(100)
    room.give_back("one")
    assert room.take("one", "hv01", 1_000, time.monotonic())  # alone, whatever it is


def test_an_estimate_is_no_less_than_what_is_made():
    """Of an element without anything in it there is nothing but itself."""
    document = b"<r>" + b"<a/>" * 100_000 + b"</r>"
    made = bounds.parse_xml(document)
    assert bounds.weigh_unread(document) >= sum(map(made[0].__sizeof__().__add__, [16] * len(made))) + 8 * len(made)


class Guests(Impostor):
    """Each of its connections is another guest's."""

    def _serve(self):
        talking = []
        while not self.leaving.is_set():
            try:
                client, _ = self.listener.accept()
            except TimeoutError:
                continue
            client.settimeout(20)
            talking.append(threading.Thread(target=self._talk, args=(client,), daemon=True))
            talking[-1].start()
        for one in talking:
            one.join()

    def _talk(self, client):
        with client:
            try:
                self.talk(client)
            except OSError:
                return


@pytest.fixture(autouse=True)
def _basic_in_clear(monkeypatch):
    monkeypatch.setattr("bot.transport.routing._safe", lambda way: way)


def client_of(url, hosts):
    told = {
        "hosts": {name: {"domain": "corp.example"} for name in hosts},
        "endpoints": dict.fromkeys(hosts, url),
    }
    return TargetClient(Router(InventoryFile.model_validate(told), {"reader": LOGIN}))


@pytest.mark.parametrize(("elements", "most"), [(100_000, 1), (40_000, 2)])
async def test_of_many_guests_that_send_empty_elements_few_replies_are_read_at_a_time(monkeypatch, elements, most):
    """Sixteen guests at once took half a gigabyte; a reply that is longer than any honest one is not even fetched before."""
    room = Room(10 * 2**20)
    monkeypatch.setattr(winrm, "_READING", room)
    reading, highest, parse = 0, 0, wsman.parse_xml
    lock = threading.Lock()

    def counted(document):
        nonlocal reading, highest
        with lock:
            reading += 1
            highest = max(highest, reading)
        try:
            return parse(document)
        finally:
            with lock:
                reading -= 1

    monkeypatch.setattr(wsman, "parse_xml", counted)
    reply = whole(page("<r>" + "<a/>" * elements + "</r>"))
    hosts = [f"hv{number:02}" for number in range(4)]
    with Guests(lambda _: [reply]) as url:
        client = client_of(url, hosts)
        asked = (client.answer(Wql(host, "root/cimv2", "Win32_Service", ("a",)), 60) for host in hosts)
        found = await asyncio.gather(*asked)
        client.close()
        await asyncio.to_thread(client._threads.shutdown)
    assert [len(one.rows[0]["a"]) for one in found] == [elements] * len(hosts)
    assert highest <= most
    assert (room._held, room.waiting) == ({}, 0)


async def test_short_replies_take_no_room(monkeypatch):
    room = Room(1)
    assert room.take("somebody", "hv99", 100, for_ever())
    monkeypatch.setattr(winrm, "_READING", room)
    with Guests(lambda _: [whole(page("<r><a>x</a></r>" * 500))]) as url:
        client = client_of(url, ["hv01"])
        assert len((await client.answer(Wql("hv01", "root/cimv2", "Win32_Service", ("a",)), 20)).rows) == 500
        client.close()
        await asyncio.to_thread(client._threads.shutdown)


async def test_of_all_hosts_together_so_much_is_kept_and_short_answers_besides(monkeypatch):
    monkeypatch.setattr(transport, "MAX_KEPT_OF_ALL", 4 * 2**20)

    async def told(_self, question, _seconds):
        return QueryResult((), "x" * (3 * 2**20 if question.on != "hv03" else 100), question.on)

    monkeypatch.setattr(TargetClient, "_answer", told)
    client = client_of("http://127.0.0.1:9/wsman", ["hv01", "hv02", "hv03"])

    async def ask(name):
        return await client.answer(Wql(name, "root/cimv2", "Win32_Service", ("a",)), 20)

    first = await ask("hv01")
    with pytest.raises(QuotaExceeded, match="as many long answers in memory"):
        await ask("hv02")
    assert (await ask("hv03")).raw  # a short one is kept all the same
    del first
    assert (await ask("hv02")).raw
    assert (client._held, client._held_of_all) == ({}, 0)
    client.close()
