"""A writer is reset by clicking: one person proposes, another reads the plan and approves it, and both see it done."""

import re
import sys
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from lab.app_manifest import bot_manifest
from lab.demo import verify_command
from lab.demo_api import DemoApi
from lab.demo_session import DemoSession
from lab.slack.server import FakeSlack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ANSWER = 30_000  # ms
RUN = 90_000
HASTY = Path(__file__).with_name("hasty_bot.py").read_text()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path, monkeypatch):
    for name, seconds in {
        "migration.SECONDS": {"live": 0.1, "quick": 0.1, "offline": 0.1},
        "drain.BETWEEN": 0.05,
    }.items():
        monkeypatch.setattr(f"lab.world.{name}", seconds)
    slack = FakeSlack(manifest=await bot_manifest())
    stage = DemoSession(slack, tmp_path, lambda settings: (sys.executable, "-c", HASTY, str(settings)), verify_command)
    DemoApi(stage).add_to(slack.application.router)
    async with slack:
        await stage.begin("stuck-writer-job-dead")
        await slack.connected(2)
        yield stage
        await stage.end()


async def types(page: Page, line: str) -> None:
    await page.locator("#composer-text").fill(line)
    await page.keyboard.press("Enter")


async def presses(page: Page, where, button: str, confirm: str = "") -> None:
    await where.get_by_role("button", name=button).click()
    if confirm:
        await page.get_by_role("dialog").get_by_role("button", name=confirm).click()


async def test_proposed_refused_approved_run_done_and_recorded(visitors, stage):
    page = await visitors.opens(stage.slack.address)
    tour = page.get_by_role("region", name="Guided tour")
    headers = page.locator("h3.header")
    await expect(tour).to_contain_text("Tour 1 of 7")
    await expect(page.locator("#composer-text")).to_have_value("/check-writers hv03")
    await page.keyboard.press("Enter")
    await expect(headers).to_have_text("hv03: Hyper-V writer LOOKS STUCK on hv03", timeout=ANSWER)
    await expect(tour).to_contain_text("Tour 2 of 7")
    await types(page, "/reset-writer hv03")
    ticket = page.locator(
        "#messages .message", has=headers.filter(has_text=re.compile("Reset writer on hv03|^T-1 hv03"))
    )
    await expect(ticket).to_contain_text("Steps, with", timeout=ANSWER)
    await expect(tour).to_contain_text("Tour 3 of 7")
    await presses(page, ticket, "Approve", "Approve and Start")
    await expect(page.locator("#messages")).to_contain_text("so another approver must decide")

    await page.get_by_role("tab", name="Approver").click()
    await expect(ticket.get_by_role("button", name="Approve")).to_be_visible()
    await ticket.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Approve T-1?")
    await expect(page.get_by_role("dialog")).to_contain_text("Pause hv03 and drain it")
    await page.get_by_role("dialog").get_by_role("button", name="Approve and Start").click()
    await expect(ticket.locator("h3.header")).to_have_text(re.compile(r"^T-1 hv03: step \d of 6"), timeout=RUN)
    await expect(tour).to_contain_text("Tour 4 of 7")
    await expect(ticket.locator("h3.header")).to_have_text("Done: Reset writer on hv03", timeout=RUN)
    await page.locator("#world-button").click()
    await expect(page.locator(".facts")).to_contain_text("up, 11 guests")
    await expect(page.locator(".facts")).to_contain_text("[1] no error")
    await expect(tour).to_contain_text("Tour 5 of 7")

    await page.get_by_role("tab", name="Operator").click()
    await presses(page, page.locator("#side"), "Back up hv03 again")
    await expect(tour).to_contain_text("Tour 6 of 7", timeout=ANSWER)
    await types(page, "/audit prod")
    await expect(headers.filter(has_text=re.compile("^Audit"))).to_have_count(1, timeout=ANSWER)
    await expect(tour).to_contain_text("audit verify")
