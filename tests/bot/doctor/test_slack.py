"""What doctor says about Slack, asked of the practice Slack."""

from __future__ import annotations

import json
import os

import pytest

from bot.config.settings import load
from bot.dispatch.registry import Registry
from bot.doctor.approvers import check_approvers
from bot.doctor.check import Status
from bot.doctor.local import slack
from bot.slack.manifest import manifest
from lab.slack.server import FakeSlack

SETTINGS = """
inventory = "inventory.toml"
[credentials.reader]
transport = "kerberos"
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path):
    def made(**slack_settings):
        file = tmp_path / "settings.toml"
        rows = "".join(f"{name} = {json.dumps(value)}\n" for name, value in slack_settings.items())
        file.write_text(SETTINGS + (f"[slack]\n{rows}" if rows else ""))
        file.chmod(0o600)
        return load(file)

    return made


def tokens(stand_in, **more):
    return {"bot_token": stand_in.bot_token, "app_token": stand_in.app_token, "base_url": stand_in.base_url, **more}


async def told(made):
    return {check.what: check for check in await slack(made)}


async def test_an_app_made_from_the_manifest_is_well(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        found = await told(settings(**tokens(stand_in, audit_channel="C0AUDIT")))
    assert {what: check.status for what, check in found.items()} == {
        "slack bot token": Status.OK,
        "slack scopes": Status.OK,
        "slack app token": Status.OK,
        "slack audit channel": Status.OK,
        "audit heads": Status.SKIP,
    }


async def test_a_missing_scope_is_named_with_what_to_do(settings):
    less = manifest(Registry.load())
    less["oauth_config"]["scopes"]["bot"].remove("files:write")
    async with FakeSlack(manifest=less) as stand_in:
        found = await told(settings(**tokens(stand_in)))
    assert found["slack scopes"].status is Status.FAIL
    assert "missing: files:write" in found["slack scopes"].says
    assert "reinstall" in found["slack scopes"].do
    assert found["slack audit channel"].status is Status.WARN


async def test_wrong_tokens_fail_each_by_itself(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        found = await told(settings(**tokens(stand_in) | {"bot_token": "xoxb-wrong", "app_token": "xapp-wrong"}))
    assert found["slack bot token"].status is found["slack app token"].status is Status.FAIL
    assert "slack scopes" not in found


async def test_a_rate_limit_says_nothing_of_the_token(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        stand_in.core.faults.add("apps.connections.open", "ratelimited")
        found = await told(settings(**tokens(stand_in)))
    assert found["slack app token"].status is Status.WARN
    assert "ratelimited" in found["slack app token"].says


async def test_without_slack_it_is_skipped_and_a_silent_slack_fails(settings):
    assert (await told(settings()))["slack"].status is Status.SKIP
    silent = settings(bot_token="xoxb-1", app_token="xapp-1", base_url="http://127.0.0.1:1/api/")
    found = await told(silent)
    assert found["slack bot token"].status is found["slack app token"].status is Status.FAIL


async def test_the_placeholders_of_the_example_are_not_set_yet_and_nothing_fails(settings):
    """Step 2 of deploy/README.md needs no Slack."""
    made = settings(bot_token="xoxb-replace-me", app_token="xapp-replace-me")
    made.file.write_text(made.file.read_text() + ROLES.replace("S0APPROVERS", "S0REPLACEME"))
    made = load(made.file)
    checks = [*await slack(made), *await check_approvers(made)]
    assert [check.status for check in checks] == [Status.SKIP, Status.SKIP]
    assert all("step 3 of deploy/README.md" in check.do for check in checks)


async def test_the_placeholder_of_a_group_is_not_set_yet(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        found = await decided(settings, stand_in, ROLES.replace('"S0APPROVERS"', '"S0APPROVERS", "S0REPLACEME"'))
    assert ("user group", Status.SKIP, "S0REPLACEME is the example's placeholder") in found


@pytest.mark.parametrize(
    ("code", "status", "do"),
    [
        ("invalid_auth", Status.FAIL, "Copy bot_token from the app's OAuth & Permissions page"),
        ("account_inactive", Status.FAIL, "Reinstall the app."),
        ("not_allowed_token_type", Status.FAIL, "bot_token begins with xoxb-"),
        ("missing_scope", Status.FAIL, "reinstall the app"),
        ("accesslimited", Status.FAIL, "limits which networks"),
        ("ratelimited", Status.WARN, "Try again in a minute."),
        ("internal_error", Status.WARN, "https://slack-status.com"),
    ],
)
async def test_each_fault_has_its_own_remedy(settings, code, status, do):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        stand_in.faults.add("auth.test", code, 9)
        found = await told(settings(**tokens(stand_in)))
    assert found["slack bot token"].status is status
    assert do in found["slack bot token"].do


async def test_a_group_that_cannot_be_read_is_told_from_one_that_does_not_exist(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        for code, do in (
            ("missing_scope", "reinstall the app"),
            ("no_such_subteam", "Put the id (S0"),
            ("plan_upgrade_required", "users = ['U0"),
        ):
            stand_in.faults.add("usergroups.users.list", code, 1)
            made = settings(**tokens(stand_in))
            made.file.write_text(made.file.read_text() + ROLES)
            (made.file.parent / "inventory.toml").write_text(ESTATE)
            (group,) = [one for one in await check_approvers(load(made.file)) if one.what == "user group"]
            assert group.status is Status.FAIL
            assert do in group.do


async def test_a_network_fault_is_no_fault_of_the_token(settings):
    """Refused, a name that DNS does not know, and a server that speaks no TLS."""
    async with FakeSlack() as stand_in:
        no_tls = stand_in.base_url.replace("http://", "https://")
        for url, do in (
            ("http://127.0.0.1:1/api/", "Allow https (port 443)"),
            ("https://slack.invalid/api/", "name does not resolve"),
            (no_tls, "The TLS handshake failed"),
        ):
            found = await told(settings(bot_token="xoxb-1", app_token="xapp-1", base_url=url))
            for what in ("slack bot token", "slack app token"):
                assert found[what].status is Status.FAIL
                assert do in found[what].do, url
                assert "Copy" not in found[what].do


ROLES = """
[roles.approver]
groups = ["S0APPROVERS"]
clusters = ["*"]
"""
ESTATE = """
[clusters.prod]
domain = "corp.example"
entry_hosts = ["hv01"]
ops_channel = "C0OPS"
[clusters.branch]
domain = "corp.example"
entry_hosts = ["br01"]
ops_channel = "C0NOWHERE"
"""


BALANCER = '[[load_balancer]]\nname = "lm01"\nurl = "https://lm01.corp.example/"\n'


async def decided(settings, stand_in, roles=ROLES, estate=ESTATE):
    made = settings(**tokens(stand_in))
    made.file.write_text(made.file.read_text() + roles)
    (made.file.parent / "inventory.toml").write_text(estate)
    return [(check.what, check.status, check.says) for check in await check_approvers(load(made.file))]


async def test_somebody_else_than_one_person_decides_in_a_channel_where_the_bot_is(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        one = await decided(settings, stand_in)
        assert ("approvers", Status.WARN, "only one approver, who cannot approve their own plans") in one
        assert ("ops channel", Status.OK, "the bot is in C0OPS") in one
        assert any(what == "ops channel" and status is Status.FAIL and "/invite" in says for what, status, says in one)
        stand_in.workspace.groups["S0APPROVERS"].users.append("U0OPERATOR")
        assert ("approvers", Status.OK, "2 people") in await decided(settings, stand_in)
        stand_in.workspace.groups["S0APPROVERS"].users.clear()
        nobody = await decided(settings, stand_in)
        assert ("user group", Status.WARN, "S0APPROVERS has no members") in nobody
        assert ("approvers", Status.FAIL, "nobody, so no plan can be approved") in nobody


async def test_guests_and_people_who_left_are_no_approvers(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        members = stand_in.workspace.members
        stand_in.workspace.groups["S0APPROVERS"].users += ["U0OPERATOR", "U0VIEWER"]
        members["U0OPERATOR"].deleted = members["U0VIEWER"].is_restricted = True
        (says,) = [says for what, status, says in await decided(settings, stand_in) if what == "approvers"]
        assert says.startswith("only one approver")
        assert says.endswith("not counted (guests, bots or deactivated): U0OPERATOR, U0VIEWER")
        stand_in.faults.add("users.info", "fatal_error", 3)
        (unknown,) = [one for one in await decided(settings, stand_in) if one[0] == "approvers"]
        assert unknown[1] is Status.WARN
        assert unknown[2].startswith("not known")


async def test_accounts_of_one_person_are_one_approver(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        stand_in.workspace.groups["S0APPROVERS"].users.append("U0OPERATOR")
        linked = f'{ROLES}\n[people]\nsame_person = [["U0OPERATOR", "U0APPROVER"]]\n'
        one = await decided(settings, stand_in, linked)
        assert ("approvers", Status.WARN, "only one approver, who cannot approve their own plans") in one


async def test_a_stop_that_nobody_could_end_in_slack_is_warned_of(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        only_prod = ROLES.replace('clusters = ["*"]', 'clusters = ["Prod"]')
        told = [one for one in await decided(settings, stand_in, only_prod) if one[0] == "/hvops go"]
        says = "nobody can end a stop in Slack: no one has the role approver on branch"
        assert told == [("/hvops go", Status.WARN, says)]
        assert "/hvops go" not in [one[0] for one in await decided(settings, stand_in)]
        both = ROLES.replace('clusters = ["*"]', 'clusters = ["prod", "branch"]')
        told = [one for one in await decided(settings, stand_in, both, ESTATE + BALANCER) if one[0] == "/hvops go"]
        assert [says.rpartition(" on ")[2] for _, _, says in told] == ["lm01"]


async def test_a_group_that_does_not_exist_is_named(settings):
    async with FakeSlack(manifest=manifest(Registry.load())) as stand_in:
        found = await decided(settings, stand_in, ROLES.replace("S0APPROVERS", "S0NOBODY"))
    assert [what for what, status, says in found if status is Status.FAIL and "S0NOBODY" in says] == ["user group"]
    assert ("approvers", Status.SKIP, "not known: their group cannot be read") in found
