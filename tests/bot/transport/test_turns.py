"""Places shared between people and runs: by who is let in, never by the clock. The hosts here are threads that wait."""

import asyncio
import gc
import threading
import time
from contextlib import suppress

import pytest

from bot.api.queries import GuestWql, RunReader, Wql
from bot.config.inventory_file import InventoryFile
from bot.errors import AuthenticationFailed, LoginNotChecked, MalformedResponse, QuotaExceeded, TargetTimeout
from bot.transport import client
from bot.transport.client import PER_HOST
from bot.transport.routing import Credentials, Route, Router
from bot.transport.turns import RUNS, Slots, asking_as, judged_look
from bot.transport.windows import winrm

SECONDS = 30.0


async def settled():
    """Everything that can go on without an answer from outside has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


def later():
    return asyncio.get_running_loop().time() + SECONDS


async def acquired(slots, who, ends=None):
    with asking_as(who):
        return await slots.acquire(later() if ends is None else ends)


def begin(slots, who, count):
    return [asyncio.create_task(acquired(slots, who)) for _ in range(count)]


def inside(tasks):
    return sum(task.done() for task in tasks)


async def test_questions_never_take_the_last_place_and_a_person_not_more_than_half():
    slots = Slots(8)
    one, other = begin(slots, "U1", 60), begin(slots, "U2", 60)
    await settled()
    assert (inside(one), inside(other)) == (4, 3)
    (run,) = begin(slots, RUNS, 1)
    await settled()
    assert run.done()


async def test_runs_may_have_all_places_and_are_next():
    slots = Slots(4)
    runs, asks = begin(slots, RUNS, 6), begin(slots, "U1", 1)
    await settled()
    assert (inside(runs), inside(asks)) == (4, 0)
    slots.release(RUNS)
    slots.release(RUNS)
    await settled()
    assert (inside(runs), inside(asks)) == (6, 0)
    slots.release(RUNS)
    await settled()
    assert inside(asks) == 1


async def test_who_has_the_fewest_is_next_and_then_who_waited_longest():
    slots = Slots(4)
    flood = begin(slots, "U1", 60)
    first, second = begin(slots, "U2", 2)
    third = begin(slots, "U3", 1)[0]
    await settled()
    assert (inside(flood), first.done(), second.done(), third.done()) == (2, True, False, False)
    slots.release("U1")
    await settled()
    assert (inside(flood), second.done(), third.done()) == (2, False, True)
    slots.release("U3")
    await settled()
    assert (inside(flood), second.done()) == (3, False)  # with one place each; U1 was served before U2 was


async def test_who_gives_up_leaves_no_trace():
    slots = Slots(2)
    (first,) = begin(slots, "U1", 1)
    await first
    with pytest.raises(TimeoutError):
        await acquired(slots, "U2", asyncio.get_running_loop().time())
    left = asyncio.create_task(acquired(slots, "U3"))
    await settled()
    left.cancel()
    with suppress(asyncio.CancelledError):
        await left
    slots.release("U1")
    (next_one,) = begin(slots, "U4", 1)
    await settled()
    assert next_one.done()
    assert slots._waiting == {}
    slots.release("U4")
    assert not slots._held


async def test_who_is_cancelled_when_it_was_just_let_in_gives_its_place_back():
    slots = Slots(2)
    (first,) = begin(slots, "U1", 1)
    await first
    (waiting,) = begin(slots, "U2", 1)
    await settled()
    slots.release("U1")
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    await settled()
    assert not slots._held


async def test_the_bot_itself_has_no_share_but_leaves_the_place_of_runs():
    slots = Slots(4)
    asks = begin(slots, "", 9)
    await settled()
    assert inside(asks) == 3


class SlowHost:
    """What workers do who ask it: they stand still until the host answers. Says who came."""

    def __init__(self):
        self.answers = threading.Event()
        self.came = []

    def work(self, who):
        def asked(_connection, _deadline):
            self.came.append(who)
            self.answers.wait(SECONDS)
            return who

        return asked

    async def has_come(self, *people):
        async with asyncio.timeout(SECONDS):
            while not set(people) <= set(self.came):  # noqa: ASYNC110 - threads come, not tasks
                await asyncio.sleep(0.01)


@pytest.fixture
async def slow(site):
    reach, host = site.reach(at_once=16), SlowHost()
    way = reach.router.host("hv01")

    def ask(who, seconds=SECONDS):
        async def asks():
            with asking_as(who):
                return await reach._patiently(way, host.work(who), seconds)

        return asyncio.create_task(asks())

    host.ask, host.reach, host.way = ask, reach, way
    yield host
    host.answers.set()
    reach.close()
    await asyncio.to_thread(reach._threads.shutdown)


async def test_sixty_questions_of_one_person_hold_up_nobody_else_and_no_run(slow):
    flood = [slow.ask("U1") for _ in range(60)]
    await slow.has_come("U1")
    other, check = slow.ask("U2"), slow.ask(RUNS)
    await slow.has_come("U2", RUNS)  # while the host has answered nothing yet
    assert slow.came.count("U1") <= PER_HOST // 2
    slow.answers.set()
    assert [(await one)[0] for one in (other, check, *flood)] == ["U2", RUNS, *["U1"] * 60]


async def test_sixty_questions_to_many_slow_hosts_leave_places_for_others(slow):
    """The places of all hosts together are shared in the same way."""
    others = [slow.reach.router.host("hv02"), slow.way]
    tasks = []
    for number in range(60):
        with asking_as("U1"):
            tasks.append(asyncio.create_task(slow.reach._patiently(others[number % 2], slow.work("U1"), SECONDS)))
    await slow.has_come("U1")
    tasks += [slow.ask("U2"), slow.ask(RUNS)]
    await slow.has_come("U2", RUNS)
    slow.answers.set()
    await asyncio.gather(*tasks)


async def test_the_wait_is_part_of_the_time_and_says_nothing_of_the_host(slow):
    flood = [slow.ask("U1") for _ in range(4)]
    await slow.has_come("U1")
    began = time.monotonic()
    with pytest.raises(TargetTimeout, match=r"not asked: hvops asked it other things|no answer in"):
        await slow.ask("U1", 0.3)
    assert time.monotonic() - began < 30
    assert "hv01" not in slow.reach._fell_silent
    slow.answers.set()
    await asyncio.gather(*flood)


async def test_what_waited_too_long_to_be_sent_was_not_sent(slow):
    """An act is not in doubt: nobody has to look what became of it."""
    runs = [slow.ask(RUNS) for _ in range(PER_HOST)]
    await slow.has_come(RUNS)
    with asking_as(RUNS), pytest.raises(QuotaExceeded, match="nothing was sent") as late:
        await slow.reach._once(slow.way, slow.work("act"), 0.2, reads=False)
    assert late.value.is_unsent
    slow.answers.set()
    await asyncio.gather(*runs)
    assert "act" not in slow.came


@pytest.mark.parametrize(
    ("error", "is_taken", "fate"),
    [
        (LoginNotChecked, False, (True, True)),
        (LoginNotChecked, True, (False, False)),  # nobody said anything, and the first message has gone
        (AuthenticationFailed, False, (True, True)),
        (AuthenticationFailed, True, (True, False)),  # somebody said no
    ],
)
def test_a_login_that_nobody_checked_is_a_refusal_only_until_the_last_look(error, is_taken, fate):
    def refused():
        with judged_look("hv01") as look:
            if is_taken:
                look()
            raise error("hv01", "no KDC of this realm answered in time.")

    with pytest.raises(error) as found:
        refused()
    assert (found.value.is_refusal, found.value.is_unsent) == fate


async def test_databases_and_services_are_shared_in_the_same_way(slow):
    answers, came = asyncio.Event(), []

    async def asked(_seconds):
        came.append(asyncio.current_task().get_name())
        await answers.wait()

    def ask(who):
        with asking_as(who):
            return asyncio.create_task(slow.reach._in_turn("vmm", SECONDS, asked), name=who)

    tasks = [ask("U1") for _ in range(60)]
    tasks += [ask("U2"), ask(RUNS)]
    await settled()
    assert sorted(came) == ["U1", "U1", "U2", RUNS]
    answers.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("what", ["vmm hosts", "commvault active jobs"])
async def test_those_questions_do_wait_their_turn(slow, what):
    taken = [asyncio.create_task(slow.reach._in_turn("x", SECONDS, lambda _: asyncio.Event().wait())) for _ in range(3)]
    await settled()
    with pytest.raises(TargetTimeout):
        await slow.reach.answer(RunReader("x", what), 0.05)
    for task in taken:
        task.cancel()


async def test_hosts_that_nobody_asks_just_now_are_not_kept_for_ever(monkeypatch):
    """A host may tell of four thousand guests, by other names each time."""
    monkeypatch.setattr(client, "_MOST_HOSTS", 10)
    estate = InventoryFile.model_validate({"hosts": {"hv01": {"domain": "corp.example"}}})
    asking = client.TargetClient(Router(estate, {}))
    used = asking._slots_of("hv01")
    who = await used.acquire(later())
    for number in range(100):
        asking._heard[f"guest-{number}"] = 1.0
        asking._slots_of(f"guest-{number}")
    assert all(asking._slots_of(name) is used for name in ("HV01", "ＨＶ０１", "hv01."))
    assert len(asking._per_host) + len(asking._heard) < 30
    used.release(who)
    asking.close()


async def test_what_guests_are_called_is_not_kept_for_ever():
    estate = InventoryFile.model_validate({"hosts": {"hv01": {"domain": "corp.example"}}})
    gc.collect()
    asking, locks = client.TargetClient(Router(estate, {})), len(winrm._long_answers)
    leases = [asking._lease(client.QueryResult((), "", "x"), (f"guest-{number}",), 10) for number in range(100)]
    assert len(asking._held) == 100
    del leases
    gc.collect()
    assert not asking._held
    login = Credentials("ntlm", "CORP\\reader", "x")
    made = [winrm.Connection(Route(f"guest-{number}", "http://x:5985/wsman", "x", login)) for number in range(100)]
    again = winrm.Connection(Route("GUEST-0", "http://x:5985/wsman", "x", login))
    assert again._long_answer is made[0]._long_answer
    assert len(winrm._long_answers) == locks + 100
    del made, again
    gc.collect()
    assert len(winrm._long_answers) == locks
    asking.close()


class Answering(client.TargetClient):
    """Each machine answers at once, by three thousand characters."""

    def __init__(self):
        estate = {
            "hosts": {"hv01": {"domain": "corp.example"}, "hv02": {"domain": "corp.example"}},
            "guest_domains": ["corp.example"],
            "endpoints": {"app-01": "https://10.0.0.7:5986/wsman"},
        }
        logins = {"reader": Credentials("ntlm", "reader", "x"), "guest": Credentials("kerberos", "guest")}
        super().__init__(Router(InventoryFile.model_validate(estate), logins))

    async def _patiently(self, way, work, seconds, silence=0):
        return ((), None, None), "x" * 3_000


@pytest.fixture
def answering(monkeypatch):
    monkeypatch.setattr(client, "MAX_KEPT", 20_000)
    asking = Answering()
    yield asking
    asking.close()


def of_host(name):
    return Wql(name, "root/cimv2", "Win32_OperatingSystem", ())


def of_guest(name, fqdn, vm_id):
    return GuestWql(name, fqdn, vm_id, "root/cimv2", "Win32_OperatingSystem", ())


async def fill(asking, *questions):
    """As many of the answers as are to be had, in turn."""
    held = []
    with suppress(MalformedResponse):  # what hvops keeps in memory for one machine
        while len(held) < 100:
            held.append(await asking.answer(questions[len(held) % len(questions)]))
    assert 0 < len(held) < 100
    return held


@pytest.mark.parametrize("name", ["hv01", "HV01.corp.example", "app-01", "crm-01"])
@pytest.mark.parametrize("fqdn", ["hv01.corp.example", "HV01.Corp.Example.", "crm-01.corp.example"])
async def test_no_guest_takes_of_what_is_kept_of_a_host_whatever_it_calls_itself(answering, name, fqdn):
    held = await fill(answering, of_guest(name, fqdn, "{11}"))
    for spelling in ("hv01", "HV01.corp.example", "hv02"):
        held.append(await answering.answer(of_host(spelling)))


async def test_a_host_has_no_more_by_other_spellings_of_its_name(answering):
    once = len(await fill(answering, of_host("hv01")))
    gc.collect()
    assert len(await fill(answering, of_host("hv01"), of_host("HV01.corp.example"), of_host("ＨＶ０１."))) == once


async def test_no_guest_takes_of_what_another_one_may_have_by_its_name(answering):
    """The one that is pinned need not prove what it calls itself."""
    held = await fill(answering, of_guest("app-01", "crm-01.corp.example", "{11}"))
    held.append(await answering.answer(of_guest("crm-01", "crm-01.corp.example", "{22}")))


async def test_one_machine_has_no_more_because_it_is_asked_as_many_guests(answering):
    once = len(await fill(answering, of_guest("a", "crm-01.corp.example", "{1}")))
    gc.collect()
    many = [of_guest(f"a{number}", "crm-01.corp.example", f"{{{number}}}") for number in range(10)]
    assert len(await fill(answering, *many)) == once
    gc.collect()
    by_names = [of_guest("a", f"crm-{number}.corp.example", "{1}") for number in range(10)]
    assert len(await fill(answering, *by_names)) == once
