"""Eighty columns, nobody's own settings, and a healthy practice environment for each module."""

import os

import pytest

from lab.plugin import PRACTICE


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("HVOPS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    with PRACTICE.start("healthy", tmp_path_factory.mktemp("healthy")) as running:
        yield running
