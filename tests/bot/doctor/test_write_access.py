"""What doctor says of changing things: the policy, the operator's login, the backup product, what stays by hand."""

from __future__ import annotations

import os

import pytest

from bot.config.settings import load
from bot.doctor.check import Status, blocks_remediations, fail, ok, summary
from bot.doctor.commvault import backup_product
from bot.doctor.write_access import changes, check_admin, policy
from bot.errors import TargetFault, TargetTimeout
from bot.services import open_connections
from lab.plugin import PRACTICE


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    with PRACTICE.start("healthy", tmp_path_factory.mktemp("healthy")) as running:
        yield running


@pytest.fixture
def looked(practice, tmp_path):
    """Looks with other settings or another estate: pairs of what is replaced."""

    async def look(work, settings=(), estate=()):
        told, place = practice.settings_path.read_text(), (practice.directory / "inventory.toml").read_text()
        for old, new in settings:
            assert old in told
            told = told.replace(old, new)
        for old, new in estate:
            assert old in place
            place = place.replace(old, new)
        (tmp_path / "inventory.toml").write_text(place)
        (tmp_path / "ca.pem").write_bytes((practice.directory / "ca.pem").read_bytes())
        (tmp_path / "settings.toml").write_text(told)
        with open_connections(load(tmp_path / "settings.toml")) as out:
            return await work(out)

    return look


def of(checks, what):
    return [(check.status, check.on, check.says) for check in checks if check.what == what]


async def test_an_operator_who_administers_all_is_well(looked):
    found = await looked(changes)
    assert {check.status for check in found if check.what.startswith(("operator", "policy"))} == {Status.OK}
    nodes = {*(f"hv0{number}" for number in range(1, 7)), *(f"br0{number}" for number in range(1, 5))}
    # VMM's own host: its service is stopped there.
    assert {on for _, on, _ in of(found, "operator")} == {
        *nodes,
        "vmm01",
    }
    (moves,) = of(found, "live migration")
    assert moves[0] is Status.SKIP
    assert "by hand" in moves[2]


async def test_an_operator_who_cannot_log_in_can_change_nothing(looked, monkeypatch):
    monkeypatch.setenv("HVOPS_CREDENTIALS__OPERATOR__PASSWORD", "wrong-password-1")
    found = await looked(changes)
    assert {status for status, _, _ in of(found, "operator")} == {Status.FAIL}
    (cluster,) = of(found, "operator@prod")
    assert cluster[0] is Status.FAIL
    assert "can pause no node" in cluster[2]
    assert "Works: diagnostics. Does not: changes (operator@prod, operator@branch, operator hv01" in summary(found)


async def test_without_an_operator_nothing_is_tried(looked, practice):
    text = practice.settings_path.read_text()
    start = text.index("[credentials.operator]")
    section = text[start : text.index("\n[", start) + 1]
    found = await looked(changes, settings=[(section, "")])
    assert of(found, "operator") == [(Status.SKIP, "", "no [credentials.operator], so nothing can ever be changed")]
    assert not of(found, "operator@prod")


class Answers:
    """A way on which every answer is the same trouble."""

    def __init__(self, trouble):
        self.trouble = trouble

    async def answer(self, question, seconds=20.0):
        raise self.trouble


async def test_who_may_log_in_and_is_no_administrator_is_told_so():
    check = await check_admin(
        Answers(TargetFault("hv03", "A required privilege is not held by the client.", code=1314)), "hv03"
    )
    assert (check.status, check.only_changes) == (Status.FAIL, True)
    assert "no elevated administrator" in check.says
    assert check.do == "See deploy/rights.md#reset-writer."
    assert (await check_admin(Answers(TargetTimeout("hv03", "no answer in 20 s.")), "hv03")).status is Status.WARN


@pytest.mark.parametrize(
    ("rules", "status", "says"),
    [
        ("", Status.SKIP, "nothing may be changed"),
        ('high = "approval"', Status.WARN, "no rule for low risk, so every such plan is refused"),
        ('low = "confirm"\nhigh = "approval"', Status.OK, "low risk: confirm, high risk: approval"),
    ],
)
def test_the_policy_is_said_in_words(practice, tmp_path, rules, status, says):
    text = practice.settings_path.read_text()
    start = text.index("[policy]")
    end = text.find("\n[", start)
    file = tmp_path / "settings.toml"
    file.write_text(f"{text[:start]}[policy]\n{rules}\n{text[end:] if end > 0 else ''}")
    first = next(policy(load(file)))
    assert (first.status, first.says) == (status, says)


async def test_a_cluster_without_a_channel_and_a_vmm_without_its_host_are_named(looked, practice):
    place = (practice.directory / "inventory.toml").read_text()
    start = place.index("ops_channel = ")
    found = await looked(changes, estate=[(place[start : place.index("\n", start)], "")])
    assert of(found, "ops channel")
    assert all(status is Status.WARN for status, _, _ in of(found, "ops channel"))
    assert {status for status, _, _ in of(found, "vmm service")} <= {Status.SKIP, Status.OK}


async def test_the_backup_product(looked, practice, monkeypatch):
    assert [check.status for check in await looked(backup_product)] == [Status.OK]
    place = (practice.directory / "inventory.toml").read_text()
    start = place.index("[commvault]")
    end = place.find("\n[", start)
    section = place[start:] if end < 0 else place[start : end + 1]
    (check,) = await looked(backup_product, estate=[(section, "")])
    assert (check.status, check.says) == (Status.SKIP, "not in the inventory")
    monkeypatch.setenv("HVOPS_CREDENTIALS__COMMVAULT__PASSWORD", "wrong-password-1")
    (check,) = await looked(backup_product)
    assert check.status is Status.FAIL
    assert "login" in check.says


def test_what_also_hinders_questions_is_not_called_well():
    broken = [blocks_remediations(fail("approvers", "nobody")), fail("login", "no", on="hv05"), ok("time", "x")]
    assert summary(broken).endswith("Does not work: approvers, login hv05.")
    assert summary(broken[:1]).endswith("Works: diagnostics. Does not: changes (approvers).")
