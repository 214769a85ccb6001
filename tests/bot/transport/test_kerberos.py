"""Kerberos against a real KDC: by ticket, by password, and what is said when there is neither."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bot.api.actions import InvokeMethod
from bot.api.queries import GuestWql, Wql
from bot.errors import AuthenticationFailed, LoginNotChecked, PolicyViolation
from bot.transport.client import TargetClient
from bot.transport.routing import Credentials, Router
from bot.transport.turns import RUNS, asking_as
from bot.transport.windows import kerberos, winrm
from tests.support.kdc import SilentKdc

from .conftest import PASSWORD, READER, USER

pytestmark = pytest.mark.kerberos

HOST = "hv02.corp.example"
QUESTION = Wql("hv02", "root/MSCluster", "MSCluster_Node", ("Name",))
TICKET = Credentials("kerberos", "asker@CORP.EXAMPLE")
LOGIN = Credentials("kerberos", "asker@CORP.EXAMPLE", "Ticket-3")
ELSEWHERE = Credentials("kerberos", "svc@GUESTS.EXAMPLE", "Other-4")
STOP = InvokeMethod("hv02", "root/cimv2", (("Name", "vmms"),), "Win32_Service", "StopService")


@pytest.fixture(scope="session")
def people(kdc):
    kdc.add_services("HTTP", ["hv01.corp.example", HOST])
    kdc.add_user("asker", "Ticket-3")
    kdc.add_user("other", "Ticket-4")


@pytest.fixture
def realm(kdc, people, monkeypatch, site, tmp_path):
    for name, value in kdc.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'tickets'}")
    monkeypatch.setitem(kdc.environment, "KRB5CCNAME", f"FILE:{tmp_path / 'tickets'}")
    monkeypatch.setattr(kerberos, "_fetched", {})
    monkeypatch.setattr(kerberos, "_refused", {})
    monkeypatch.setattr(kerberos, "_asking", {})
    box = site.boxes["hv02"]
    box.access.kerberos, box.access.ntlm = True, False
    box.access.accounts = {"asker@CORP.EXAMPLE": ""}
    return kdc


async def ask(site, login, question=QUESTION):
    reach = TargetClient(Router(site.estate(), {"reader": login, "guest": login}))
    try:
        return [await reach.answer(question, 5.0) for _ in range(3)][-1]
    finally:
        reach.close()


async def test_with_a_ticket_by_the_name_of_the_host_not_its_address(realm, site):
    realm.log_in("asker", "Ticket-3")
    assert len((await ask(site, TICKET)).rows) == 2


async def test_with_a_password_and_no_ticket(realm, site):
    login = Credentials("kerberos", "asker@CORP.EXAMPLE", "Ticket-3")
    assert len((await ask(site, login)).rows) == 2
    assert len(kerberos._fetched) == 1


async def test_tickets_of_hosts_do_not_pile_up_before_those_of_the_next_login(realm, site, monkeypatch):
    """libkrb5 reads all of them, several times a login: two thousand took twenty times as long as a few."""
    monkeypatch.setattr(kerberos, "_MOST_HOSTS", 3)
    login = Credentials("kerberos", "asker@CORP.EXAMPLE", "Ticket-3")
    monkeypatch.setattr(kerberos, "_fetch", counted := Counted(kerberos._fetch))
    sizes = []
    for _ in range(9):
        assert len((await ask(site, login)).rows) == 2
        sizes.append(cache_of("asker@CORP.EXAMPLE").stat().st_size)
    alone = min(sizes)
    assert max(sizes) <= 2 * alone + 1_000
    kept = kerberos._fetched["asker@CORP.EXAMPLE", "Ticket-3"]
    assert (kept.logins, counted.calls) == (9, 1)  # the KDC was asked for the password's ticket once
    assert not list(cache_of("asker@CORP.EXAMPLE").parent.glob("new*"))
    assert stat.S_IMODE(cache_of("asker@CORP.EXAMPLE").stat().st_mode) == 0o600


async def test_whoever_logs_in_while_a_file_begins_anew_finds_it_whole(realm, site, monkeypatch):
    """Each login begins the file anew here, and four go on at one time."""
    monkeypatch.setattr(kerberos, "_MOST_HOSTS", 1)
    login = Credentials("kerberos", "asker@CORP.EXAMPLE", "Ticket-3")
    for _ in range(5):
        answers = await asyncio.gather(*(ask(site, login) for _ in range(4)))
        assert [len(answer.rows) for answer in answers] == [2] * 4


class Counted:
    def __init__(self, work):
        self.work, self.calls = work, 0

    def __call__(self, *told):
        self.calls += 1
        return self.work(*told)


def cache_of(principal):
    name = hashlib.sha256(principal.encode()).hexdigest()[:16]
    return Path(kerberos._folder(), f"tkt{name}")


async def test_a_wrong_password_is_carried_to_the_kdc_once(realm, site, monkeypatch):
    with pytest.raises(AuthenticationFailed, match=r"calls the password wrong|does not decrypt") as caught:
        await ask(site, Credentials("kerberos", "asker@CORP.EXAMPLE", "nonsense-9"))
    monkeypatch.setenv("KRB5_CONFIG", "/nonexistent")  # whoever asked the KDC again would fail in another way
    with pytest.raises(AuthenticationFailed) as again:
        await ask(site, Credentials("kerberos", "asker@CORP.EXAMPLE", "nonsense-9"))
    assert again.value.message == caught.value.message
    assert "password" in caught.value.hint
    assert "nonsense-9" not in str(caught.value)


async def test_without_any_ticket(realm, site):
    with pytest.raises(AuthenticationFailed, match="there is no ticket for this login") as caught:
        await ask(site, TICKET)
    assert "kinit" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "says", "does"),
    [
        (["-allow_tix"], "disabled, locked out or has expired", "unlock"),
        (["-expire", "2001-01-01"], "the account has expired", "Account expires"),
        (["-pwexpire", "2001-01-01"], "password of the account has expired", "new one"),
    ],
)
async def test_what_the_kdc_says_of_an_account_by_its_number(realm, site, options, says, does):
    name = f"state{abs(hash(tuple(options)))}"
    realm.add_user(name, "Ticket-5")
    realm.change_user(name, *options)
    with pytest.raises(AuthenticationFailed, match=says) as caught:
        await ask(site, Credentials("kerberos", f"{name}@CORP.EXAMPLE", "Ticket-5"))
    assert does in caught.value.hint


async def test_an_account_that_the_kdc_does_not_know(realm, site):
    with pytest.raises(AuthenticationFailed, match="knows no account of this name") as caught:
        await ask(site, Credentials("kerberos", "nobody@CORP.EXAMPLE", "Ticket-5"))
    assert "username" in caught.value.hint


@pytest.mark.parametrize("user", ["asker@corp.example", "asker@CORP", "asker@OTHER.EXAMPLE"])
async def test_a_realm_without_a_kdc_is_no_refused_login(realm, site, user):
    """Small letters and NetBIOS names are realms that krb5.conf does not have."""
    with pytest.raises(LoginNotChecked, match="no KDC is known for this realm") as caught:
        await ask(site, Credentials("kerberos", user, "Ticket-3"))
    assert "in capital letters, not its NetBIOS name" in caught.value.hint
    assert caught.value.kind == "login not checked"


async def test_a_kdc_that_does_not_answer_is_no_refused_login(realm, site, monkeypatch, tmp_path):
    settings = tmp_path / "krb5.conf"
    settings.write_text(
        "[libdefaults]\n  udp_preference_limit = 1\n  dns_lookup_kdc = false\n"
        "[realms]\n  CORP.EXAMPLE = {\n    kdc = 127.0.8.8:1\n  }\n"
    )
    monkeypatch.setenv("KRB5_CONFIG", str(settings))
    with pytest.raises(LoginNotChecked, match="no KDC of this realm answers") as caught:
        await ask(site, Credentials("kerberos", "asker@CORP.EXAMPLE", "Ticket-3"))
    assert "password" not in caught.value.hint


async def test_a_host_without_an_spn(realm, site):
    realm.log_in("asker", "Ticket-3")
    question = GuestWql("hv02", "hv09.corp.example", "id", "root/MSCluster", "MSCluster_Node")
    with pytest.raises(AuthenticationFailed, match="knows no service") as caught:
        await ask(site, TICKET, question)
    assert "setspn -Q HTTP/" in caught.value.hint


async def test_somebody_else_of_the_realm(realm, site):
    realm.log_in("other", "Ticket-4")
    with pytest.raises(AuthenticationFailed):
        await ask(site, Credentials("kerberos", "other@CORP.EXAMPLE"))


async def test_a_guest_by_its_own_name_inside_of_the_domains(realm, site):
    realm.log_in("asker", "Ticket-3")
    guest = GuestWql("hv02", HOST, "id", "root/MSCluster", "MSCluster_Node", ("Name",))
    assert len((await ask(site, TICKET, guest)).rows) == 2
    with pytest.raises(AuthenticationFailed):  # what answers there cannot prove that it is this guest
        await ask(site, TICKET, GuestWql("hv02", "hv09.corp.example", "id", "root/MSCluster", "MSCluster_Node"))
    with pytest.raises(PolicyViolation):
        await ask(site, TICKET, GuestWql("hv02", "hv02.evil.example", "id", "root/MSCluster", "MSCluster_Node"))


@pytest.fixture
def silent(realm, monkeypatch, tmp_path):
    """A KDC that says nothing, and is asked once it `leads` for a realm."""
    made = SilentKdc()

    def leads(name):
        for key, value in made.environment(realm, name, tmp_path / "krb5.conf").items():
            monkeypatch.setenv(key, value)

    made.leads = leads
    yield made
    made.close()


@pytest.fixture
def reaching(site, silent):
    """Clients by the login for each profile; closed, and their threads ended, before the site is."""
    made = []

    def reach(at_once=4, **logins):
        made.append(TargetClient(Router(site.estate(), logins), at_once=at_once))
        return made[-1]

    yield reach
    silent.close()
    for one in made:
        one.close()
        one._threads.shutdown()


def guest(number):
    return GuestWql(f"vm{number}", f"vm{number}.corp.example", str(number), "root/cimv2", "Win32_OperatingSystem")


async def eventually(condition):
    while not condition():  # noqa: ASYNC110 - it becomes true on a thread
        await asyncio.sleep(0.005)


async def asked_by(who, reach, question, seconds=30.0):
    with asking_as(who):
        return await reach.answer(question, seconds)


async def test_a_kdc_of_another_domain_that_is_silent_holds_up_no_login(silent, reaching):
    """More guests than there are threads wait for it; hosts whose own KDC answers are logged in to meanwhile."""
    silent.leads("GUESTS.EXAMPLE")
    reach = reaching(reader=LOGIN, guest=ELSEWHERE)
    waiting = [asyncio.create_task(asked_by(f"T0/U{n}", reach, guest(n))) for n in range(8)]
    await eventually(lambda: silent.asked)
    for who in (RUNS, "T0/UOTHER"):
        for _ in range(3):
            assert len((await asked_by(who, reach, QUESTION, 5.0)).rows) == 2
            reach._kept.close()
    assert not any(task.done() for task in waiting)
    assert (len(silent.asked), len(reach._running)) == (1, 0)  # one asks for all, on no thread of theirs
    silent.close()
    failed = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in failed} == {LoginNotChecked}


async def test_whoever_waits_for_a_silent_kdc_waits_as_long_as_they_have(site, silent, reaching):
    silent.leads("GUESTS.EXAMPLE")
    reach = reaching(reader=ELSEWHERE, operator=ELSEWHERE)
    with pytest.raises(LoginNotChecked, match="no KDC of this realm answered in time") as caught:
        await reach.answer(QUESTION, 0.2)
    assert "port 88" in caught.value.hint
    assert (reach._fell_silent, reach._heard) == ({}, {})  # the host was not asked
    with pytest.raises(LoginNotChecked) as unsent:
        await reach.invoke(STOP, 0.2)
    assert (unsent.value.is_unsent, site.boxes["hv02"].called) == (True, [])
    assert len(silent.asked) == 1


async def test_a_thread_waits_for_a_silent_kdc_no_longer_than_its_question_has(silent):
    silent.leads("GUESTS.EXAMPLE")
    with pytest.raises(LoginNotChecked, match="no KDC of this realm answered in time"):
        await asyncio.to_thread(kerberos.ticket_for, ELSEWHERE, 0.0)


async def test_a_ticket_that_is_valid_serves_while_a_silent_kdc_is_to_renew_it(silent, reaching, monkeypatch):
    reach = reaching(reader=LOGIN)
    assert len((await reach.answer(QUESTION, 5.0)).rows) == 2
    silent.leads("CORP.EXAMPLE")
    monkeypatch.setattr(kerberos, "_RENEW_AFTER", 0.0)
    again = reaching(reader=LOGIN)
    for _ in range(3):
        assert len((await again.answer(QUESTION, 5.0)).rows) == 2
        again._kept.close()
    await eventually(lambda: silent.asked)
    silent.close()
    await eventually(lambda: kerberos._refused)  # no KDC answered, and it still serves
    assert len((await reaching(reader=LOGIN).answer(QUESTION, 5.0)).rows) == 2
    kept = kerberos._fetched["asker@CORP.EXAMPLE", "Ticket-3"]
    assert 0 < kept.ends - time.time() <= 86_400  # a day is the longest that a KDC gives unless it is told otherwise
    kept.ends = 0.0
    with pytest.raises(LoginNotChecked, match="no KDC of this realm answers"):
        await reaching(reader=LOGIN).answer(QUESTION, 5.0)


async def test_no_ticket_serves_any_more_that_the_kdc_refuses_to_renew(realm, reaching, monkeypatch):
    realm.add_user("leaver", "Ticket-6")
    leaver = Credentials("kerberos", "leaver@CORP.EXAMPLE", "Ticket-6")
    await asyncio.to_thread(kerberos.ticket_for, leaver, time.monotonic() + 60)
    realm.change_user("leaver", "-allow_tix")
    monkeypatch.setattr(kerberos, "_RENEW_AFTER", 0.0)
    await kerberos.wait_for_ticket(leaver, time.monotonic() + 60)  # the one from before serves until it is known
    await eventually(lambda: kerberos._refused)
    with pytest.raises(AuthenticationFailed, match="disabled, locked out"):
        await reaching(reader=leaver).answer(QUESTION, 5.0)
    assert not kerberos._fetched


async def test_threads_that_a_silent_kdc_holds_leave_some_to_other_domains(site, silent, reaching):
    """Of a host's ticket libkrb5 asks on the thread that logs in, and nothing ends that, past any deadline."""
    box = site.boxes["hv01"]
    box.access.accounts = {USER: PASSWORD}
    await asyncio.to_thread(kerberos.ticket_for, LOGIN, time.monotonic() + 60)
    silent.leads("CORP.EXAMPLE")
    reach = reaching(reader=READER, guest=LOGIN)
    failed = await asyncio.gather(
        *(asked_by(f"T0/U{n}", reach, guest(n), 1.0) for n in range(8)), return_exceptions=True
    )
    held = [one for one in failed if isinstance(one, LoginNotChecked)]
    assert held
    assert all("no KDC of this realm answered in time" in str(one) for one in held)
    assert len(reach._running) == len(silent.asked) == len(held)  # their threads wait on
    for who in (RUNS, "T0/UOTHER"):
        answer = await asked_by(who, reach, Wql("hv01", "root/MSCluster", "MSCluster_Node", ("Name",)), 5.0)
        assert len(answer.rows) == 2
    assert len(reach._running) == len(held)


OF_PROD = Wql("prod", "root/MSCluster", "MSCluster_Node", ("Name",))


@pytest.fixture
def first(realm, site):
    """The entry host that its cluster is asked through first. Both take the ticket."""
    box = site.boxes["hv01"]
    box.access.kerberos, box.access.ntlm = True, False
    box.access.accounts = {"asker@CORP.EXAMPLE": ""}
    return box


def forget_account(box):
    box.access.accounts = {}


def take_no_ticket(box):
    """As where its key, its clock or its SPN is another one: a 401 is all that it says."""
    box.access.kerberos, box.access.ntlm = False, True


@pytest.mark.parametrize("refuse", [forget_account, take_no_ticket])
async def test_an_entry_host_that_takes_no_ticket_leaves_its_cluster_to_the_next_one(first, site, refuse):
    """No password goes to a host by Kerberos, so none can bring the account nearer to its lockout."""
    refuse(first)
    with pytest.raises(AuthenticationFailed):
        await ask(site, LOGIN, replace(QUESTION, on="hv01"))
    assert (await ask(site, LOGIN, OF_PROD)).by == "hv02"


async def test_an_entry_host_without_an_spn_leaves_its_cluster_to_the_next_one(first, site):
    """The KDC says that of the host alone."""
    reach = TargetClient(Router(site.estate(hv00=site.up.url(site.addresses["hv01"])), {"reader": LOGIN}))
    try:
        with pytest.raises(AuthenticationFailed, match="knows no service"):
            await reach.answer(replace(QUESTION, on="hv00"), 5.0)
        assert (await reach.answer(OF_PROD, 5.0)).by == "hv01"
    finally:
        reach.close()


async def test_an_entry_host_that_refuses_a_ticket_in_the_last_moment_is_no_silent_kdc(first, site, monkeypatch):
    """Without time for another ticket: what was answered is the host's word, and the next one is asked."""
    take_no_ticket(first)
    made = winrm._Transport._ask_kdc

    def ask_kdc(self, header, response, *told, **named):
        if response is not None:  # the 401 to the first ticket
            self._adapter.until = 0.0
        return made(self, header, response, *told, **named)

    monkeypatch.setattr(winrm._Transport, "_ask_kdc", ask_kdc)
    with pytest.raises(LoginNotChecked):
        await ask(site, LOGIN, replace(QUESTION, on="hv01"))
    assert (await ask(site, LOGIN, OF_PROD)).by == "hv02"


async def test_what_the_kdc_says_of_the_account_is_asked_on_no_other_entry_host(first, site):
    """The same on every host; and a keytab of an old password goes to the KDC with each of them."""
    with pytest.raises(AuthenticationFailed, match=r"^asker@CORP.EXAMPLE: no ticket for it") as caught:
        await ask(site, replace(LOGIN, password="nonsense-8"), OF_PROD)
    assert "entry hosts" not in str(caught.value)
    with pytest.raises(AuthenticationFailed, match=r"^hv01: there is no ticket for this login"):
        await ask(site, TICKET, OF_PROD)


async def test_a_silent_kdc_is_waited_for_once_and_not_for_each_entry_host(silent, reaching):
    silent.leads("GUESTS.EXAMPLE")
    with pytest.raises(LoginNotChecked, match="no KDC of this realm") as caught:
        await reaching(reader=ELSEWHERE).answer(OF_PROD, 0.2)
    assert "entry hosts" not in str(caught.value)


GUEST = Credentials("kerberos", "other@CORP.EXAMPLE", "Ticket-4")


@pytest.fixture
def arrives(realm, site):
    """As whom a login arrives at the machine."""

    async def of(login):
        found = []
        for who in ("asker", "other"):
            site.boxes["hv02"].access.accounts = {f"{who}@CORP.EXAMPLE": ""}
            try:
                await ask(site, login)
            except AuthenticationFailed:
                continue
            found.append(who)
        return found

    return of


@pytest.fixture(scope="session")
def keytab(kdc, people, tmp_path_factory):
    """The bot's own account has a keytab as well; its password stays."""
    made = tmp_path_factory.mktemp("client") / "client.keytab"
    kdc._administer("ktadd", "-norandkey", "-k", str(made), "asker")
    return made


async def test_a_login_by_the_accounts_ticket_cache_stands_beside_one_with_a_password(realm, arrives):
    realm.log_in("asker", "Ticket-3")
    for _ in range(2):
        assert await arrives(TICKET) == ["asker"]
        assert await arrives(GUEST) == ["other"]


@pytest.mark.parametrize("username", ["", "asker@CORP.EXAMPLE"], ids=["no name", "by name"])
async def test_a_login_by_the_accounts_keytab_stands_beside_one_with_a_password(
    realm, keytab, arrives, monkeypatch, username
):
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"FILE:{keytab}")
    monkeypatch.setenv("KRB5CCNAME", "MEMORY:")  # as deploy/hvops.service has it
    for _ in range(2):
        assert await arrives(GUEST) == ["other"]
        assert await arrives(Credentials("kerberos", username)) == ["asker"]


async def test_logins_of_both_kinds_at_one_time_stay_apart(realm, site):
    realm.log_in("asker", "Ticket-3")
    site.boxes["hv02"].access.accounts = {"asker@CORP.EXAMPLE": ""}
    refused = Credentials("kerberos", "other@CORP.EXAMPLE", "Ticket-4")
    for _ in range(5):
        asked = (ask(site, one) for one in (TICKET, refused) * 3)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [len(answer.rows) for answer in answers[::2]] == [2] * 3
        assert all(isinstance(answer, AuthenticationFailed) for answer in answers[1::2])


async def test_a_login_with_a_password_leaves_the_process_its_ticket_cache(realm, site):
    """An ODBC driver's process inherits it, and logs in to VMM's database by the account's own ticket."""
    before = os.environ["KRB5CCNAME"]
    assert len((await ask(site, LOGIN)).rows) == 2
    assert os.environ["KRB5CCNAME"] == before


async def test_a_password_does_not_hide_that_a_login_without_one_has_no_ticket(realm, site, arrives):
    assert await arrives(GUEST) == ["other"]
    for login in (TICKET, Credentials("kerberos", "")):
        assert await arrives(login) == []
