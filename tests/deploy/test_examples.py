"""What deploy/ offers to copy can be loaded, and what it says of the product is so."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import textwrap
from pathlib import Path

import pytest
import yaml

from bot.config.inventory_file import BackupService, Cluster, InventoryFile, LoadBalancer, StandaloneHost, Vmm
from bot.config.inventory_file import load as load_inventory
from bot.config.settings import Credentials, LedgerFiles, Limits, Policy, Settings, Slack, load
from bot.dispatch.registry import Registry
from bot.doctor.approvers import check_approvers
from bot.doctor.check import Status
from bot.doctor.local import slack
from bot.ledger_place import Database
from bot.slack.manifest import manifest_yaml
from bot.transport.sites.membership import only
from bot.worker import hold_no_more_than_needed

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)


def test_the_example_settings_load():
    settings = load(DEPLOY / "settings.toml")
    assert settings.inventory == DEPLOY / "inventory.toml"
    assert list(settings.credentials.profiles()) == ["reader", "guest"]
    assert [role.name for role, _ in settings.roles.rules()] == ["VIEWER", "OPERATOR", "APPROVER"]


def test_the_example_settings_show_every_key_and_the_defaults():
    text = (DEPLOY / "settings.toml").read_text()
    for model in (Settings, Slack, LedgerFiles, Limits, Policy):
        for name in model.model_fields:
            assert re.search(rf"^#? ?\[?{name}\b", text, re.MULTILINE), name
    for name in Credentials.model_fields:
        assert re.search(rf"\[credentials\.{name}[\].]", text), name
    assert load(DEPLOY / "settings.toml").limits == Limits()


def test_the_example_estate_loads():
    estate = load_inventory(DEPLOY / "inventory.toml")
    assert list(estate.clusters) == ["prod", "branch"]
    assert list(estate.hosts) == ["backup01"]


def test_the_example_estate_shows_every_key():
    text = (DEPLOY / "inventory.toml").read_text()
    for model in (InventoryFile, Cluster, StandaloneHost, Vmm, BackupService, LoadBalancer):
        for name in model.model_fields.keys() - {"name"}:
            assert re.search(rf"^#? ?\[{{0,2}}{name}\b", text, re.MULTILINE), name


def test_what_is_commented_out_can_be_switched_on(tmp_path):
    """Every line that is a setting behind a # is one that loads."""
    for name in ("settings", "inventory"):
        lines = (DEPLOY / f"{name}.toml").read_text().splitlines()
        on = [re.sub(r"^# (?=\[\[?\w+(\.\w+){0,2}\]|\w[\w.-]* = )", "", line) for line in lines]
        (tmp_path / f"{name}.toml").write_text("\n".join(without_doubles(on)))
    settings, estate = load(tmp_path / "settings.toml"), load_inventory(tmp_path / "inventory.toml")
    assert settings.credentials.operator
    assert settings.credentials.commvault
    assert settings.sites.worker.keys() <= estate.site.keys()
    assert estate.commvault
    assert list(estate.vmm) == ["vmm"]
    assert list(estate.load_balancers()) == list(settings.credentials.load_balancer) == ["lm01"]


def test_the_sudo_rule_lets_nobody_choose_settings():
    """A star takes blanks, and so `--settings FILE`; sudo takes a command with words behind it for exactly these."""
    (rule,) = re.findall(r"^ *%\S+ ALL=\(hvops\) (.*)$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    allowed = rule.split(", ")
    assert [one.split()[1:] for one in allowed] == [["runs"], ["stop"], ["go"]]
    assert {one.split()[0] for one in allowed} == {"/opt/hvops/.venv/bin/hvops"}


def test_step_2_can_be_walked_without_slack(tmp_path):
    """The example as it is, with what step 2 shows put in: it loads, and doctor skips Slack."""
    step = (DEPLOY / "README.md").read_text().split("## 2. ")[1].split("## 3. ")[0]
    endpoints, reader = [textwrap.dedent(one) for one in re.findall(r"```toml\n(.*?)```", step, re.DOTALL)]
    text = (DEPLOY / "settings.toml").read_text()
    login = text.index("[credentials.reader]"), text.index("# [credentials.operator]")
    (tmp_path / "settings.toml").write_text(text[: login[0]] + reader + text[login[1] :])
    (tmp_path / "settings.toml").chmod(0o600)
    estate = (DEPLOY / "inventory.toml").read_text().replace("[endpoints]\n", endpoints)
    (tmp_path / "inventory.toml").write_text(estate)
    settings = load(tmp_path / "settings.toml")
    assert (settings.credentials.reader.transport, settings.credentials.reader.username) == (
        "ntlm",
        "CORP\\hvops-reader",
    )
    assert load_inventory(settings.inventory).endpoints["hv02"] == "http://10.20.1.12:5985/wsman"
    checks = [*asyncio.run(slack(settings)), *asyncio.run(check_approvers(settings))]
    assert {check.status for check in checks} == {Status.SKIP}
    for profile in ("reader", "operator", "guest"):
        assert f"`[credentials.{profile}]`" in step


def without_doubles(lines):
    """The examples offer choices; the first of each key is taken, and of two ways to log in to SQL Server the first."""
    table, seen = "", set()
    for number, line in enumerate(lines):
        if line.startswith("["):  # each of a list of tables is one of its own
            table = f"{line.split('#')[0].strip()}{number if line.startswith('[[') else ''}"
        key = (table, line.split(" = ")[0]) if " = " in line and not line.startswith("#") else None
        unwanted = {("[credentials.vmm]", "username"), ("[credentials.vmm]", "password"), ("[vmm.vmm]", "host")}
        if key is None or (key not in seen and key not in unwanted):
            yield line
        seen.add(key)


def test_no_example_holds_a_secret():
    for value in load(DEPLOY / "settings.toml").secrets():
        assert value.endswith("replace-me")


def test_the_unit_starts_what_there_is_and_never_gives_up():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "hvops.service")
    assert unit["Service"]["ExecStart"].endswith("/hvops run --settings /etc/hvops/settings.toml")
    assert unit["Service"]["NoNewPrivileges"] == "yes"
    assert (unit["Service"]["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("on-failure", "0")
    assert 5 <= int(unit["Service"]["RestartSec"]) <= 60


def test_the_unit_of_a_worker_is_started_again_for_ever():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "hvops-worker.service")
    assert unit["Service"]["ExecStart"].endswith("/hvops worker --site %i --settings /etc/hvops/worker-%i.toml")
    assert (unit["Service"]["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("always", "0")


def test_a_worker_in_kubernetes_has_settings_that_load(tmp_path):
    parts = {
        (one["kind"], one["metadata"]["name"]): one
        for one in yaml.safe_load_all((DEPLOY / "kubernetes-worker.yaml").read_text())
    }
    for name, text in parts["ConfigMap", "hvops-worker-branch1"]["data"].items():
        (tmp_path / name).write_text(text)
    told = load(tmp_path / "settings.toml")
    assert told.sites.is_workers
    only(load_inventory(told.inventory), "branch1")
    pod = parts["Deployment", "hvops-worker-branch1"]["spec"]["template"]["spec"]
    assert (pod["restartPolicy"], pod["containers"][0]["args"]) == ("Always", ["worker", "--site", "branch1"])
    hold_no_more_than_needed(told)


def test_two_bots_in_kubernetes_have_settings_that_load_and_keep_nothing_of_their_own(tmp_path, monkeypatch):
    parts = {
        (one["kind"], one["metadata"]["name"]): one
        for one in yaml.safe_load_all((DEPLOY / "kubernetes-postgresql.yaml").read_text())
    }
    for name, text in parts["ConfigMap", "hvops"]["data"].items():
        (tmp_path / name).write_text(text)
    text = (tmp_path / "settings.toml").read_text()
    (tmp_path / "settings.toml").write_text(text.replace("/etc/hvops/inventory.toml", "inventory.toml"))
    for name, value in parts["Secret", "hvops"]["stringData"].items():
        monkeypatch.setenv(name, value)
    told = load(tmp_path / "settings.toml")
    assert isinstance(told.ledger.place, Database)
    spec = parts["Deployment", "hvops"]["spec"]
    assert (spec["replicas"], spec["strategy"]["rollingUpdate"]["maxUnavailable"]) == (2, 1)
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    mounted = {one["mountPath"] for one in container["volumeMounts"]}
    assert {str(told.ledger.key_file.parent), str(told.ledger.anchor_file.parent)} <= mounted
    (claim,) = [one for kind, one in parts.items() if kind[0] == "PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]  # both append to one anchor file
    assert parts["PodDisruptionBudget", "hvops"]["spec"]["minAvailable"] == 1


def test_the_manifest_is_fresh():
    assert (DEPLOY / "slack.yaml").read_text() == manifest_yaml(Registry.load())


@pytest.mark.parametrize("page", ["README.md", "rights.md"])
def test_links_lead_somewhere(page):
    text = (DEPLOY / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (DEPLOY / target).exists(), target
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)", text):
        assert anchor in anchors(DEPLOY / (target or page)), anchor


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_what_the_bot_says_of_rights_is_there():
    told = {
        found
        for file in DEPLOY.parent.glob("bot/**/*.py")
        for found in re.findall(r"rights\.md#([\w-]+)", file.read_text())
    }
    assert told
    assert told <= anchors(DEPLOY / "rights.md")
    assert {"drain", "reset-writer", "audit-policy", "vmm", "commvault", "event-log"} <= anchors(DEPLOY / "rights.md")


def test_the_rights_of_every_command_that_changes_something_are_there():
    told = (DEPLOY / "rights.md").read_text()
    assert not [command.name for command in Registry.load() if command.changes and f"/{command.name}" not in told]
