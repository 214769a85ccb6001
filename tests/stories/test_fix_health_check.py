"""The field notes' load balancer: a check without a host name finds servers down that are well, and it is mended."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from functools import partial

import pytest

from bot.ledger.ticket_state import ENDS
from bot.transport.http import loadmaster
from lab.loadmaster.model import Refused, VirtualService
from lab.slack.plain_text import plain_text
from lab.websites.model import Binding
from lab.world.accounts import balancer_account

from .conftest import until

DONE = re.compile(r"Done: Fix health check[\s\S]*Undo…")  # the card, not the line in its thread that may come before it
LINE = "/fix-health-check lm01 ntrip --host ntrip.surveyor.example"


@pytest.fixture
def balanced(play):
    """Play the scenario: `async with balanced() as ops`."""
    return partial(play, "host-header-check")


def appliance(ops):
    return ops.estate.world.load_balancers["lm01"]


def quick(ops):
    """Check every second, and give silence one more; how long it takes is proved where no clock runs."""
    made = appliance(ops)
    made.interval, made.timeout, made.retries = 2, 1, 1


def settings(ops, index=1):
    return ops.estate.do(lambda: dict(appliance(ops).services[index].settings))


def all_that_is_kept(ops, capfd):
    """Ledger, messages, log, and the evidence, too."""
    kept = "".join(str(entry.fields) for entry in ops.ledger())
    kept += "".join(str(message) for message in ops.everything("operator"))
    kept += "".join(capfd.readouterr())
    files = [one for one in ops.estate.directory.iterdir() if one.is_file() and one.name != "settings.toml"]
    return kept + "".join(one.read_bytes().decode("latin-1") for one in files)


async def test_down_because_of_the_check_and_then_up(balanced, capfd):
    async with balanced() as ops:
        ops.estate.do(lambda: quick(ops))
        before = settings(ops)
        await ops.says("/check-virtual-service lm01 ntrip --host ntrip.surveyor.example")
        answer = await ops.sees("lm01: 2 real servers marked down by the wrong health check")
        await ops.clicks(answer, "Fix Health Check…")
        plan = await ops.sees("set the health check to HTTP/1.1, Host ntrip.surveyor.example", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.recorded("done", 1)
        assert (
            "2 of 2 real servers up" in next(entry for entry in ops.ledger() if entry.kind == "done").fields["measured"]
        )
        assert settings(ops) == before | {"CheckUse1.1": "Y", "CheckHost": "ntrip.surveyor.example"}
        assert ops.estate.world.asked == ["loadmaster: modvs CheckHost=ntrip.surveyor.example CheckUse1.1=1 vs=1"]
        await ops.says("/check-virtual-service lm01 ntrip")
        await ops.sees("lm01: ntrip works")
        done = await ops.slack.person("operator").sees(DONE, "hv-ops")
        await ops.clicks(done, "Undo…")
        back = await ops.sees("Undo T-1 on lm01?", channel="hv-ops")
        await ops.clicks(back, "Approve", who="approver")
        await ops.recorded("done", 2)
        assert settings(ops) == before
        kept = all_that_is_kept(ops, capfd)
        account = balancer_account(seed=1)
        for secret in (account.password, b64encode(f"{account.user}:{account.password}".encode()).decode()):
            assert secret not in kept


async def test_it_is_put_back_by_itself_where_fewer_are_up(balanced):
    """Right after the change the load balancer still calls up what it has not asked again: that must not count."""
    async with balanced() as ops:
        world = ops.estate.world

        def well_until_asked() -> None:
            quick(ops)
            for server in world.web_servers:
                server.sites[0].bindings.append(Binding.read("http/*:80:"))
            world.when_asked = cut_off

        def cut_off() -> None:
            appliance(ops).reach = lambda _address, _port: None

        ops.estate.do(well_until_asked)
        before = settings(ops)
        await ops.says(LINE)
        plan = await ops.sees("set the health check to HTTP/1.1, Host", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await until(lambda: any(one.kind in ENDS for one in ops.ledger()))
        ending = next(one for one in ops.ledger() if one.kind in ENDS)
        assert ending.kind != "done"
        assert settings(ops) == before
        assert [what.split()[1:] for what in world.asked] == [
            ["modvs", "CheckHost=ntrip.surveyor.example", "CheckUse1.1=1", "vs=1"],
            ["modvs", "CheckHost=", "CheckUse1.1=0", "vs=1"],
        ]


@pytest.mark.parametrize("masks_itself", [True, False])
async def test_a_password_that_the_load_balancer_repeats_goes_nowhere(balanced, capfd, monkeypatch, masks_itself):
    """Its client masks what it says; without that, ledger, messages and log do, each by itself."""
    account = balancer_account(seed=1)
    if not masks_itself:
        monkeypatch.setattr(loadmaster, "_without_login", lambda _login, says: says)

    def refuse(_self, _name, _value):
        raise Refused(422, f"bad request of {account.user}:{account.password} from here")

    async with balanced() as ops:
        monkeypatch.setattr(VirtualService, "set", refuse)
        await ops.says(LINE)
        plan = await ops.sees("set the health check to HTTP/1.1, Host", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await until(lambda: any(one.kind in ENDS for one in ops.ledger()))
        await ops.sees("bad request of", channel="hv-ops")
        kept = all_that_is_kept(ops, capfd)
        assert "bad request of" in "".join(str(entry.fields) for entry in ops.ledger())
        assert account.password not in kept


async def test_refused_while_one_server_does_not_answer(balanced):
    async with balanced() as ops:
        ops.estate.do(lambda: setattr(ops.estate.world.web_servers[1].sites[0], "running", False))
        await ops.says(LINE)
        await ops.sees("10.1.0.52:80 503")
        assert ops.estate.world.asked == []


@pytest.mark.long
async def test_head_is_refused_and_get_is_the_cure(balanced):
    async with balanced() as ops:
        ops.estate.do(lambda: quick(ops))
        before = settings(ops, 2)
        await ops.says("/fix-health-check lm01 api --host api.surveyor.example")
        plan = await ops.sees("set the health check to GET; the host name is already right", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.recorded("done", 1)
        assert settings(ops, 2) == before | {"CheckUseGet": "1"}


async def test_a_name_that_is_no_load_balancer(balanced):
    async with balanced() as ops:
        await ops.says("/check-virtual-service hv01")
        await ops.sees("There is no load balancer “hv01” in the inventory. Load balancers: lm01.")
        await ops.says("/check-writers lm01")
        await ops.sees("lm01 is a load balancer; this command takes a cluster or a host")


def hand_index_on(ops, protocol="tcp"):
    """The service gets another index, and somebody else's new one gets its: as new, it is set as ours was.

    With the other protocol it may have the very same address, port and nickname.
    """
    made = appliance(ops)
    old = made.services.pop(1)
    made.services[7] = replace(old, index=7)
    is_alike = protocol != old.protocol
    made.services[1] = VirtualService(1, old.address if is_alike else "10.1.0.99", old.port, protocol=protocol)
    made.services[1].set("NickName", old.settings["NickName"] if is_alike else "payments")


async def ended(ops, ticket):
    await until(lambda: any(one.ticket == ticket and one.kind in {*ENDS, "interrupted"} for one in ops.ledger()))
    return next(one for one in ops.ledger() if one.ticket == ticket and one.kind in {*ENDS, "interrupted"})


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_an_index_that_was_given_to_another_service_is_not_changed(balanced, protocol):
    """As on the partner of a pair that takes over between the plan and the act."""
    async with balanced() as ops:
        real, handed = ops.engine.target_client.answer, []

        async def answer(question, *args, **more):
            if not handed and any(one.kind == "started" for one in ops.ledger()):
                handed.append(ops.estate.do(lambda: hand_index_on(ops, protocol)))
            return await real(question, *args, **more)

        ops.engine.target_client.answer = answer
        await ops.says(LINE)
        plan = await ops.sees("set the health check to HTTP/1.1, Host", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        assert "the virtual service 1 of lm01 is still ntrip" in (await ended(ops, "T-1")).data.reason
        assert ops.estate.world.asked == []


async def test_an_undo_changes_no_other_service_that_has_the_index_by_then(balanced, monkeypatch):
    monkeypatch.setattr("commands.virtual_service.fix._PATIENCE", 1)
    async with balanced() as ops:
        ops.estate.do(lambda: quick(ops))
        await ops.says(LINE)
        plan = await ops.sees("set the health check to HTTP/1.1, Host", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.recorded("done", 1)
        ops.estate.do(lambda: hand_index_on(ops))
        ops.estate.do(lambda: appliance(ops).services[1].set("CheckHost", "ntrip.surveyor.example"))
        ops.estate.do(lambda: appliance(ops).services[1].set("CheckUse1.1", "Y"))
        before = settings(ops)
        done = await ops.slack.person("operator").sees(DONE, "hv-ops")
        await ops.clicks(done, "Undo…")
        back = await ops.sees("Undo T-1 on lm01?", channel="hv-ops")
        await ops.clicks(back, "Approve", who="approver")
        assert "is still ntrip" in (await ended(ops, "T-2")).data.reason
        assert settings(ops) == before


async def test_it_is_undone_where_the_new_check_is_answered_no_more(balanced):
    """The old check is what brings the servers up again: that the new one fails must not keep it away."""
    async with balanced() as ops:
        ops.estate.do(lambda: quick(ops))
        before = settings(ops)
        await ops.says(LINE)
        plan = await ops.sees("set the health check to HTTP/1.1, Host", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        await ops.recorded("done", 1)

        def rebind():
            for one in ops.estate.world.web_servers:
                one.sites[0].bindings[:] = [Binding.read("http/*:80:")]
                one.sites[0].running = False

        ops.estate.do(rebind)
        done = await ops.slack.person("operator").sees(DONE, "hv-ops")
        await ops.clicks(done, "Undo…")
        back = await ops.sees("Undo T-1 on lm01?", channel="hv-ops")
        assert "Not every real server of ntrip answers the old check (10.1.0.51:80 503" in plain_text(back)
        await ops.clicks(back, "Approve", who="approver")
        await ops.recorded("done", 2)
        assert settings(ops) == before


@pytest.mark.parametrize("old", ["www.x.", "*.x", "a..b", "-x", "www x", "x" * 301])
async def test_what_hvops_would_not_write_back_is_not_changed_at_all(balanced, old):
    """The old name stands in the check; the allowlist would refuse it on the way back."""
    async with balanced() as ops:
        ops.estate.do(lambda: appliance(ops).services[1].settings.update({"CheckUse1.1": "Y", "CheckHost": old}))
        await ops.says(LINE)
        await ops.sees("hvops cannot undo “Set the health check of ntrip")
        assert not any(one.kind == "proposed" for one in ops.ledger())
        assert ops.estate.world.asked == []
