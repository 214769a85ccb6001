"""Kerberos against a real KDC: by ticket, by password, and what is said when there is neither."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from pathlib import Path

import pytest

from bot.api.queries import GuestWql, Wql
from bot.errors import AuthenticationFailed, LoginNotChecked, PolicyViolation
from bot.transport.client import TargetClient
from bot.transport.routing import Credentials, Router
from bot.transport.windows import kerberos

pytestmark = pytest.mark.kerberos

HOST = "hv02.corp.example"
QUESTION = Wql("hv02", "root/MSCluster", "MSCluster_Node", ("Name",))
TICKET = Credentials("kerberos", "asker@CORP.EXAMPLE")


@pytest.fixture(scope="session")
def people(kdc):
    kdc.add_service("HTTP", HOST)
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
