"""An address that leads to another machine: what was approved for one host is done on no other."""

import re

from lab.slack.plain_text import plain_text


def lead_elsewhere(estate):
    """As stale DNS or a load balancer would."""
    inventory = estate.directory / "inventory.toml"
    told = inventory.read_text()
    address = dict(re.findall(r'^"?(hv0\d)"?\s*=\s*"([^"]+)"', told, re.MULTILINE))
    inventory.write_text(told.replace(address["hv03"], address["hv05"]))


async def test_what_was_approved_for_one_host_is_done_on_no_other(play):
    async with play("healthy", written=lead_elsewhere) as ops:
        service = ops.estate.world.node("hv05").service("EventSystem")
        before = ops.estate.do(lambda: (service.state, service.pid))

        await ops.says("/restart-service hv03 EventSystem")
        plan = await ops.sees("Restart COM+ Event System (EventSystem) on hv03?", channel="hv-ops")
        await ops.clicks(plan, "Approve", who="approver")
        told = plain_text(await ops.sees(re.compile("its address leads"), channel="hv-ops"))
        assert "its address leads to a machine" in told
        assert ops.estate.do(lambda: (service.state, service.pid)) == before
        assert "done" not in [one.kind for one in ops.ledger() if one.ticket]
