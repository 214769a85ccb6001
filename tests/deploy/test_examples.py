"""What deploy/ offers to copy can be loaded, and what it says of the product is so."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path

import pytest

from bot.estate import load as load_estate
from bot.registry import Registry
from bot.settings import LedgerFiles, Limits, Settings, Slack, load
from bot.slack.manifest import manifest_yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)


def test_the_example_settings_load():
    settings = load(DEPLOY / "settings.toml")
    assert settings.estate == DEPLOY / "estate.toml"
    assert list(settings.credentials.profiles()) == ["reader", "guest"]
    assert [role.name for role, _ in settings.roles.rules()] == ["VIEWER", "OPERATOR", "APPROVER"]


def test_the_example_settings_show_every_key_and_the_defaults():
    text = (DEPLOY / "settings.toml").read_text()
    for model in (Settings, Slack, LedgerFiles, Limits):
        for name in model.model_fields:
            assert re.search(rf"^#? ?\[?{name}\b", text, re.MULTILINE), name
    assert load(DEPLOY / "settings.toml").limits == Limits()


def test_the_example_estate_loads():
    estate = load_estate(DEPLOY / "estate.toml")
    assert list(estate.clusters) == ["prod", "branch"]
    assert list(estate.hosts) == ["backup01"]


def test_no_example_holds_a_secret():
    for value in load(DEPLOY / "settings.toml").secrets():
        assert value.endswith("replace-me")


def test_the_unit_starts_what_there_is():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "hvops.service")
    assert unit["Service"]["ExecStart"].endswith("/hvops run --settings /etc/hvops/settings.toml")
    assert unit["Service"]["NoNewPrivileges"] == "yes"
    assert "StartLimitBurst" in unit["Unit"]


def test_the_manifest_is_fresh():
    assert (DEPLOY / "slack.yaml").read_text() == manifest_yaml(Registry.load())


@pytest.mark.parametrize("page", ["README.md", "rights.md"])
def test_links_lead_somewhere(page):
    text = (DEPLOY / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (DEPLOY / target).exists(), target
