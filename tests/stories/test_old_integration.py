"""Integration services of several ages, until somebody has seen to them."""

from lab.slack.plain_text import plain_text
from lab.world.registry import expected_integration


def _mend(ops):
    world = ops.estate.world
    for name in ("sap-old-01", "web-dev-01", "dev-10", "lin-02"):
        world.guest(name).integration = ""
        world.guest(name).component_status.clear()
    world.guest("crm-02").components_off.clear()
    world.guest("file-01").service("vmicvss").state = "Running"
    world.node("hv05").expected_integration.clear()


async def test_each_kind_is_named_worst_first_until_it_is_seen_to(play):
    async with play("old-integration") as ops:
        await ops.says("/check-integration-services prod")
        told = plain_text(await ops.sees("prod: sap-old-01 has incompatible integration services, 5 more guests"))
        words = [
            "INCOMPATIBLE sap-old-01",
            "DATA EXCHANGE OFF crm-02",
            "NO DATA lin-02",
            "VSS NOT ANSWERING file-01",
            "HOSTS DIFFER hv05",
        ]
        places = [told.index(word) for word in (*words, "OLDER 2 guests")]
        assert places == sorted(places)
        assert "6.1.7601.17514, hv01 expects 6.3.9600.19456" in told
        assert "hypervkvpd" in told
        ops.estate.do(lambda: _mend(ops))
        await ops.says("/check-integration-services prod")
        told = plain_text(await ops.sees("prod: integration services work on 60 guests"))
        assert expected_integration("2012R2", "2008R2") in told
        assert not any(word in told for word in ("INCOMPATIBLE", "OLDER", "OFF", "DIFFER"))


async def test_a_silent_host_says_nothing_of_its_guests(play):
    async with play("healthy") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("hv02", "refuse", on=True))
        await ops.says("/check-integration-services prod")
        told = plain_text(await ops.sees("not all hosts answered"))
        assert "UNKNOWN hv02" in told


async def test_one_host_and_from_there_all_of_them(play):
    async with play("old-integration") as ops:
        await ops.says("/check-integration-services hv01")
        answer = await ops.sees("hv01: sap-old-01 has incompatible integration services")
        await ops.clicks(answer, "Check All Hosts")
        await ops.sees("prod: sap-old-01 has incompatible integration services")


async def test_guests_of_hosts_that_expect_no_version_are_judged_by_windows_update(play):
    async with play("healthy") as ops:
        await ops.says("/check-integration-services branch")
        told = plain_text(await ops.sees("branch: integration services work on 54 guests"))
        assert "no expected version in GuestInstaller" in told
        assert "No Integration-Admin log on br01" in told
