"""`hvops demo` as a newcomer starts it: the real bot, the practice estate, a browser, and the ledger afterwards."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

import pytest
import pytest_asyncio
from playwright.async_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ANSWER = 30_000  # ms


class Demo:
    """The running program, and the address it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""
        self.address = ""

    async def up(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(180):
            while not self.address:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"it ended: {self.said}"
                self.said += line
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                self.address = found[0] if found else ""

    async def ends(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(90):
            out, _ = await self.process.communicate()
        self.said += out.decode()
        return await self.process.wait()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HVOPS_")}
    command = (sys.executable, "-m", "bot", "demo", "--port", "0")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env={**environment, "TMPDIR": str(tmp_path)}
    )
    demo = Demo(process)
    try:
        await demo.up()
        yield demo
    finally:
        await demo.ends()


async def verified(shell: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_shell(shell, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_from_the_alert_to_the_recovery_and_the_ledger(stage, visitors, tmp_path):
    page = await visitors.opens(stage.address)
    headers = page.locator("h3.header")
    await expect(page.locator("#composer-text")).to_have_value("/check-writers prod")
    await page.keyboard.press("Enter")
    await expect(headers).to_have_text(re.compile("Hyper-V writer LOOKS STUCK on hv03"), timeout=ANSWER)
    answer = page.locator(".message", has=headers)
    await expect(answer).to_contain_text("9 of 11")
    await expect(answer).to_contain_text("test-tfs-01")
    await types(page, "/reset-writer hv03")
    refused = page.locator(".message").filter(has_text="No plan yet for hv03")
    await expect(refused).to_contain_text("9 of 11 guests are locked, a drain would fail (5960)", timeout=ANSWER)
    await expect(refused.get_by_role("button", name="Approve")).to_have_count(0)
    await page.locator("#world-button").click()
    await page.get_by_role("button", name="Free 2 GB on test-tfs-01 C:").click()
    await types(page, "/resume-backup 48211")
    plan = page.locator(".message", has=headers.filter(has_text="Resume backup 48211"))
    await expect(plan).to_contain_text("who must confirm", timeout=ANSWER)
    await plan.get_by_role("button", name="Confirm").click()
    await page.get_by_role("dialog").get_by_role("button", name="Confirm and Start").click()
    await expect(plan.locator("h3.header")).to_have_text("Done: Resume backup 48211", timeout=ANSWER)
    await expect(page.locator(".facts")).to_contain_text("[1] no error", timeout=ANSWER)
    await answer.first.get_by_role("button", name="Check Again").click()
    await expect(headers.filter(has_text="Hyper-V writer RECOVERED")).to_have_count(1, timeout=ANSWER)
    await types(page, "/audit")
    await expect(headers.filter(has_text=re.compile("^Audit"))).to_contain_text("1 change", timeout=ANSWER)
    tour = page.get_by_role("region", name="Guided tour")
    await expect(tour.locator(".dots .done")).to_have_count(6, timeout=ANSWER)  # what is drawn afresh loses a click
    await tour.get_by_role("button", name="Skip step").click()  # looking for full guests takes as long as a silent one
    code, said = await verified(await tour.locator(".shell").inner_text())
    assert code == 0, said
    assert await stage.ends() == 0
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
    await expect(page.locator("#notice")).to_contain_text("The demo has ended.")


async def types(page, line):
    """Write a line and send it."""
    await page.locator("#composer-text").fill(line)
    await page.keyboard.press("Enter")


async def begins(page, title):
    """Choose a story, and wait until its bot is there."""
    await page.get_by_label("Scenario").select_option(label=title)
    await page.get_by_role("dialog").get_by_role("button", name="Start Over").click()
    await expect(page.get_by_label("Scenario").locator("option:checked")).to_have_text(title)
    await expect(page.locator("#notice")).to_be_hidden()


async def approves(page, plan):
    """Become the approver, decide beside the whole plan, and be the operator again."""
    await page.get_by_role("tab", name="Approver").click()
    await plan.get_by_role("button", name="Approve").click()
    await page.get_by_role("dialog").get_by_role("button", name="Approve and Start").click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await page.get_by_role("tab", name="Operator").click()


def of_ticket(page, ticket):
    """The message of a ticket, however it is edited."""
    return page.locator(".message", has=page.locator("h3.header")).filter(has_text=ticket).last


async def test_a_missing_machine_from_the_alert_to_the_undo(stage, visitors):
    page = await visitors.opens(stage.address)
    await begins(page, "Missing VM")
    facts, tour = page.locator(".facts"), page.get_by_role("region", name="Guided tour")
    await expect(page.locator("#composer-text")).to_have_value("/find-missing-vms vmm")
    await expect(tour).to_contain_text("VMM has lost a machine that runs.")
    await page.keyboard.press("Enter")
    await expect(page.locator("h3.header")).to_have_text(
        "vmm: crm-01 is missing in VMM, and running on hv06", timeout=ANSWER
    )
    await expect(tour).to_contain_text("Three ways, the last at your own risk.")
    await tour.get_by_role("button", name="World › Refresh in VMM").click()
    await page.get_by_role("button", name="Refresh in VMM", exact=True).click()
    await expect(facts).to_contain_text("on hv04, Missing")
    await page.locator("#messages").get_by_role("button", name="Change the Database…").click()
    plan = of_ticket(page, "T-1")
    await expect(plan).to_contain_text("Stop the service VMMService on vmm01", timeout=ANSWER)
    await expect(tour).to_contain_text("Nothing happens before someone else agrees.")
    await expect(page.get_by_role("tab", name="Approver").locator(".badge")).to_have_text("1")
    await expect(page.locator("#people .badge")).to_have_count(1)
    await approves(page, plan)
    await expect(plan).to_contain_text("step 4 of 4", timeout=ANSWER)
    await expect(facts).to_contain_text("on hv06, Running")
    await expect(tour).to_contain_text("Does it stay so?")
    await page.get_by_role("button", name="Refresh in VMM", exact=True).click()
    await plan.get_by_role("button", name="Done").click()
    done = page.locator(".message", has=page.locator("h3.header", has_text="Done: Fix missing"))
    await expect(done).to_contain_text("4 of 4", timeout=ANSWER)

    await expect(tour).to_contain_text("What was done can be undone.")
    await done.get_by_role("button", name="Undo…").click()
    await page.get_by_role("dialog").get_by_role("button", name="Propose Undo").click()
    back = page.locator(".message", has=page.locator("h3.header", has_text="Undo T-1"))
    await expect(back).to_contain_text(
        "Undo: Restore the previous host and state of that row in tbl_WLC_VObject", timeout=ANSWER
    )
    await approves(page, back)
    await expect(page.locator("h3.header", has_text="Done: Undo T-1")).to_be_visible(timeout=ANSWER)
    await expect(facts).to_contain_text("on hv04, Missing")

    await expect(tour).to_contain_text("Who did what, and who agreed?")
    await types(page, "/audit")
    await expect(page.locator("h3.header", has_text=re.compile("^Audit"))).to_contain_text("2 changes", timeout=ANSWER)
    await expect(tour.locator(".shell")).to_be_visible()
    code, said = await verified(await tour.locator(".shell").inner_text())
    assert code == 0, said


async def test_remote_browsing_is_toggled_restored_and_confirmed_by_a_person(stage, visitors):
    page = await visitors.opens(stage.address)
    await begins(page, "Remote browsing")
    facts, tour = page.locator(".facts"), page.get_by_role("region", name="Guided tour")
    await expect(page.locator("#composer-text")).to_have_value("/fix-remote-browsing hv02")
    await page.keyboard.press("Enter")
    await page.locator("#world-button").click()
    plan = of_ticket(page, "T-1")
    await expect(plan).to_contain_text("Compare the audit policy of hv02 with what it was", timeout=ANSWER)
    await expect(tour).to_contain_text("The audit policy is switched on and put back exactly.")
    await approves(page, plan)
    await expect(plan).to_contain_text("close every open wizard and Hyper-V Manager", timeout=ANSWER)
    await expect(facts).to_contain_text("as it was")
    await expect(tour).to_contain_text("Only someone at the console can see whether it helped.")
    await page.locator("#side").get_by_role("button", name="Reopen the Wizard and Browse hv02").click()
    await expect(facts).to_contain_text("files are listed")
    await plan.get_by_role("button", name="Done").click()
    done = page.locator(".message", has=page.locator("h3.header", has_text="Done: Fix remote browsing on hv02"))
    await expect(done).to_contain_text("6 of 6", timeout=ANSWER)

    await types(page, "/audit")
    await expect(page.locator("h3.header", has_text=re.compile("^Audit"))).to_contain_text("1 change", timeout=ANSWER)
    await expect(tour.locator(".shell")).to_be_visible()
    code, said = await verified(await tour.locator(".shell").inner_text())
    assert code == 0, said
