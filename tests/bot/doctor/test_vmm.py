"""What `hvops doctor` says of VMM's database."""

import pytest

from bot.config.settings import load
from bot.doctor.vmm import databases
from bot.services import open_connections
from lab.plugin import PRACTICE
from lab.sqlserver.fault_injection import Fault
from lab.sqlserver.store import Login
from lab.world.vmm import DATABASE


@pytest.fixture
def practice(tmp_path):
    with PRACTICE.start("missing-vm", tmp_path / "practice") as running:
        yield running


async def looked(practice) -> dict[str, tuple[str, str]]:
    with open_connections(load(practice.settings_path)) as out:
        return {check.what: (check.status, check.says) for check in await databases(out)}


async def test_a_practice_database_is_well(practice):
    found = await looked(practice)
    assert found["vmm database"][0] == "OK"
    assert "tbl_WLC_VObject" in found["vmm database"][1]
    assert found["vmm backup"][0] == "OK"


async def test_without_rights_the_schema_is_not_there(practice):
    login = practice.database.instance.logins["hvops"]
    practice.do(lambda: practice.database.instance.add_login(Login("hvops", login.password, {DATABASE: frozenset()})))
    found = await looked(practice)
    assert found["vmm database"] == ("FAIL", "it answers, and shows none of VMM's tables")
    assert found["vmm backup"][0] == "WARN"


async def test_a_database_without_backup_is_warned_about(practice):
    practice.do(practice.database.instance.databases["msdb"].table("backupset").rows.clear)
    assert (await looked(practice))["vmm backup"] == ("WARN", "no full backup of it was ever made")


async def test_a_database_that_drops_the_connection(practice):
    practice.database.trouble.faults.append(Fault("drop after", "INFORMATION_SCHEMA"))
    assert (await looked(practice))["vmm database"][0] == "FAIL"


async def test_a_table_that_is_not_there_makes_the_schema_unknown(practice):
    databases = practice.database.instance.databases
    tables = next(one for name, one in databases.items() if name.casefold() == DATABASE.casefold()).tables
    practice.do(lambda: [tables.pop(name) for name in list(tables) if name.endswith("tbl_tr_tasktrail")])
    status, says = (await looked(practice))["vmm database"]
    assert status == "WARN"
    assert "it shows no tbl_TR_TaskTrail: the schema is unknown" in says


async def test_how_vmms_service_is(practice):
    assert (await looked(practice))["vmm service"] == ("OK", "VMMService is running")
    host = practice.world.vmm.host
    practice.do(lambda: setattr(host.service("VMMService"), "state", "Stopped"))
    assert (await looked(practice))["vmm service"] == ("OK", "VMMService is stopped")
    practice.do(lambda: host.services.pop("vmmservice"))
    assert (await looked(practice))["vmm service"] == ("FAIL", "there is no service VMMService")
    practice.do(lambda: practice.world.trouble("vmm01", "deny", on=True))
    assert (await looked(practice))["vmm service"][0] == "WARN"


async def test_a_service_whose_host_is_not_named_is_left_to_people(practice):
    estate = practice.settings_path.with_name("inventory.toml")
    text = estate.read_text()
    assert 'host = "vmm01"' in text
    estate.write_text(text.replace('host = "vmm01"', ""))
    assert (await looked(practice))["vmm service"][0] == "SKIP"
