"""The parts are wired with the settings' own secrets in mind, and with whose a host is."""

from datetime import UTC, datetime

import pytest

from bot.api.command import Role
from bot.api.facts import Unknown
from bot.api.queries import Wql
from bot.api.sources import Source
from bot.config import settings
from bot.dispatch.authorization import Person
from bot.dispatch.pipeline import Request
from bot.errors import UsageError
from bot.services import _look, build_services

SETTINGS = """
inventory = "inventory.toml"
[credentials.reader]
transport = "ntlm"
username = 'CORP\\reader'
password = "Sesame-7-Street"
"""
ESTATE = """
[clusters.prod]
domain = "corp.example"
entry_hosts = ["hv01"]
[endpoints]
hv01 = "http://127.0.0.1:9/wsman"
"""


async def test_a_password_that_somebody_types_is_repeated_to_nobody(tmp_path):
    (tmp_path / "settings.toml").write_text(SETTINGS)
    (tmp_path / "inventory.toml").write_text(ESTATE)
    viewer = Person("os:ops1", "ops1", {Role.VIEWER: frozenset("*")})
    with build_services(settings.load(tmp_path / "settings.toml")) as made:
        with pytest.raises(UsageError) as refused:
            await made.pipeline.answer(Request(viewer, "/check-writers Sesame-7-Street", "terminal", "here"))
        said = [entry.fields for entry in made.ledger.every()]
    assert "[masked]" in str(refused.value)
    assert "Sesame" not in f"{refused.value} {said}"


async def test_a_look_of_the_engine_knows_whose_a_host_is(tmp_path):
    (tmp_path / "settings.toml").write_text(SETTINGS)
    (tmp_path / "inventory.toml").write_text(ESTATE)
    with build_services(settings.load(tmp_path / "settings.toml")) as made:
        look = _look(made, made.ledger, datetime.now(UTC), None)
        look.places = frozenset({"branch"})
        told = await look.query(Source(Wql("hv01", "root/cimv2", "Win32_OperatingSystem"), tuple))
    assert isinstance(told, Unknown)
    assert told.why == "it belongs to prod, and this question is about branch."
