"""A story on the network, and the files that lead a bot there."""

import base64
import ssl
import stat
from datetime import timedelta

import httpx
import pytest

from bot.api.command import Role
from bot.config.inventory_file import load as load_inventory
from bot.config.settings import load as load_settings
from bot.config.settings import permission_warnings
from lab.config_files import SlackAccess
from lab.demo_session import DEFAULT_STORY
from lab.environment import PracticeEnvironment
from lab.plugin import PRACTICE

SLACK = SlackAccess("http://127.0.0.1:1/api/", "xoxb-practice-0000", "xapp-practice-0000")


@pytest.fixture(scope="module")
def estate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("practice") / "of its own"
    with PracticeEnvironment("stuck-writer", directory, SLACK) as running:
        yield running


def test_the_bot_reads_its_settings_and_nobody_else_can(estate):
    settings = load_settings(estate.settings_path)
    assert permission_warnings(settings) == ()
    assert stat.S_IMODE(estate.directory.stat().st_mode) == 0o700
    assert settings.need_slack().base_url == SLACK.base_url
    assert settings.credentials.reader.username == "CORP\\svc-hvops-reader"
    rules = dict(settings.roles.rules())
    assert rules[Role.OPERATOR].groups == ("S0OPERATORS",)
    assert rules[Role.APPROVER].system_users == (), "nobody approves for themselves from a terminal"


def test_the_estate_pins_every_machine_that_can_be_asked(estate):
    told = load_inventory(load_settings(estate.settings_path).inventory)
    assert set(told.clusters) == {"prod", "branch"}
    assert told.clusters["prod"].entry_hosts == ("hv01", "hv02")
    assert all(told.is_pinned(f"hv0{number}") for number in range(1, 7))
    assert told.endpoints["test-tfs-01"].startswith("https://127.1.")
    assert not told.is_pinned("lin-01"), "no WinRM in Linux"
    assert not told.is_pinned("lab-dc-02"), "reports no name"


def test_the_machines_answer_at_these_addresses_with_certificates_of_their_own(estate):
    told = load_inventory(load_settings(estate.settings_path).inventory)
    trust = ssl.create_default_context(cafile=estate.directory / "ca.pem")
    with httpx.Client(verify=trust, timeout=5) as client:
        for name in ("hv03", "test-tfs-01"):
            assert client.post(told.endpoints[name]).status_code == 401


def test_the_world_is_changed_in_its_own_thread(tmp_path):
    with PracticeEnvironment("stuck-writer", tmp_path) as estate:
        assert "free-2gb" in dict(estate.do(estate.world.actions))
        estate.do(lambda: estate.world.act("free-2gb"))
        estate.do(lambda: estate.world.skip(timedelta(minutes=6).total_seconds()))
        assert dict(estate.do(estate.world.facts))["hv03 writer"] == "[1] no error"


def test_the_backup_product_listens_beside_them(estate):
    with httpx.Client(timeout=5, headers={"Accept": "application/json"}) as client:
        assert client.get(f"{estate.backup_product.url}/Job").status_code == 401
        account = estate.backup_account
        secret = base64.b64encode(account.password.encode()).decode()
        told = client.post(
            f"{estate.backup_product.url}/Login", json={"username": account.user, "password": secret}
        ).json()
        job = client.get(f"{estate.backup_product.url}/Job/48211", headers={"Authtoken": told["token"]}).json()
        assert job["jobs"][0]["jobSummary"]["status"] == "Pending"


def test_without_slack_there_is_no_slack_in_the_settings(tmp_path):
    with PRACTICE.start("healthy", tmp_path) as estate:
        assert load_settings(estate.settings_path).slack is None


def test_the_usual_story_comes_first_and_an_unknown_one_is_refused(tmp_path):
    assert next(iter(PRACTICE.stories())) == DEFAULT_STORY
    with pytest.raises(KeyError):
        PRACTICE.start("no such story", tmp_path)
