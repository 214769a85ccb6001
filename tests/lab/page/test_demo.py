"""The whole stage in a real browser: a story, the practice Slack, a bot in a process of its own, and troubles."""

import sys
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from lab.demo import verify_command
from lab.demo_api import DemoApi
from lab.demo_session import DemoSession
from lab.slack.server import FakeSlack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BOT = Path(__file__).with_name("echo_bot.py")
COMMANDS = [
    {"command": "/check-writers", "description": "Why backups fail.", "usage_hint": "<cluster|host>"},
    {"command": "/find-full-guests", "description": "Guests without space.", "usage_hint": "<cluster|host>"},
    {"command": "/silent", "description": "Is never answered."},
]
MANIFEST = {
    "display_information": {"name": "hvops"},
    "features": {"bot_user": {"display_name": "hvops"}, "slash_commands": COMMANDS},
    "oauth_config": {"scopes": {"bot": ["chat:write", "commands", "im:write"]}},
    "settings": {
        "event_subscriptions": {"bot_events": ["app_home_opened"]},
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
    },
}


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path):
    slack = FakeSlack(manifest=MANIFEST)
    stage = DemoSession(slack, tmp_path, lambda settings: (sys.executable, str(BOT), str(settings)), verify_command)
    DemoApi(stage).add_to(slack.application.router)
    async with slack:
        await stage.begin("stuck-writer")
        await slack.connected()
        yield stage
        await stage.end()


@pytest_asyncio.fixture(loop_scope="session")
async def page(visitors, stage):
    return await visitors.opens(stage.slack.address)


async def types(page: Page, line: str) -> None:
    await page.locator("#composer-text").fill(line)
    await page.keyboard.press("Enter")


async def test_half_a_minute_for_a_newcomer(page):
    await expect(page.locator("#messages")).to_contain_text(
        "Backup: job 48211 (hv03, 11 guests) has been pending since"
    )
    await expect(page.locator("#composer-text")).to_have_value("/check-writers prod")
    await expect(page.locator("#composer-text")).to_be_focused()
    await expect(page.locator("#side")).to_be_hidden()
    await page.keyboard.press("Enter")
    await expect(page.locator("h3.header")).to_have_text("prod: Hyper-V writer STUCK on hv03")
    await expect(page.locator("#side")).to_be_hidden()
    await page.locator("#world-button").click()
    await expect(page.locator("#side")).to_contain_text("0 MB free of 80 GB")


async def test_the_tour_advances_by_what_really_happens(page, stage):
    tour = page.get_by_role("region", name="Guided tour")
    await expect(tour).to_contain_text("Tour 1 of 8")
    await page.keyboard.press("Enter")
    await expect(tour).to_contain_text("Tour 2 of 8")
    await page.locator("#messages").get_by_role("button", name="Find Full Guests").click()
    await expect(tour).to_contain_text("Tour 3 of 8")
    await tour.get_by_role("button", name="Skip step").click()
    await tour.get_by_role("button", name="World › Free 2 GB").click()
    await page.get_by_role("button", name="Free 2 GB on test-tfs-01 C:").click()
    await expect(page.locator(".facts .changed")).to_contain_text("was: 0 MB free of 80 GB")
    await expect(tour).to_contain_text("Tour 5 of 8")
    stage.estate.do(lambda: stage.estate.world.skip(400))  # the job tries again by itself
    await expect(tour).to_contain_text("Tour 6 of 8")
    await page.locator("#messages").get_by_role("button", name="Check Again").click()
    await expect(tour).to_contain_text("Tour 7 of 8")
    await tour.get_by_role("button", name="Skip step").click()
    await expect(tour).to_contain_text("audit verify")
    await tour.get_by_role("button", name="Finish").click()
    await expect(tour).to_contain_text("That was the tour.")


async def test_two_persons_see_two_different_things(page):
    await page.keyboard.press("Enter")
    await expect(page.locator("h3.header")).to_have_count(1)
    await page.get_by_role("tab", name="Viewer").click()
    await expect(page.locator("#messages")).to_contain_text("Backup: job 48211")
    await expect(page.locator("h3.header")).to_have_count(0)
    await types(page, "/find-full-guests prod")
    await expect(page.locator("h3.header")).to_have_text("prod: test-tfs-01 has 0 MB free on C:")
    await expect(page.locator(".badge")).to_have_count(0)  # nothing of that is for anybody to decide


async def test_evidence_opens_a_window_and_share_makes_a_thread(page):
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Evidence").click()
    window = page.get_by_role("dialog", name="Evidence")
    await expect(window).to_contain_text("State: [5] Waiting for completion")
    await page.keyboard.press("Escape")
    await expect(window).to_be_hidden()
    await page.get_by_role("button", name="Share").click()
    await page.get_by_role("button", name="1 reply").click()
    await expect(page.locator(".thread")).to_contain_text("hv05: no answer in 20 s")


async def test_home_and_the_conversation_with_the_bot(page):
    await page.get_by_role("button", name="Home").click()
    await expect(page.locator("#home")).to_have_text("Hello @operator")
    await page.locator("#channels").get_by_role("button", name="hvops").click()
    await expect(page.locator("#place-name")).to_have_text("hvops")


async def test_a_command_nobody_answers_says_operation_timeout(page):
    await types(page, "/silent")
    await expect(page.locator("#messages")).to_contain_text('/silent failed with the error "operation_timeout"')
    await expect(page.locator("#composer-text")).to_have_value("/silent")


async def test_a_killed_bot_comes_back_and_the_page_says_so(page, stage, monkeypatch):
    monkeypatch.setattr("lab.bot_process.AGAIN_AFTER", (6.0,))  # the page looks every second or so
    await page.get_by_role("button", name="Trouble").click()
    await page.get_by_role("menuitem", name="Kill the bot").click()
    await expect(page.locator("#notice")).to_have_text("The bot was killed (SIGKILL). It starts again by itself.")
    await stage.slack.connected()
    await expect(page.locator("#notice")).to_be_hidden()
    await types(page, "/check-writers prod")
    await expect(page.locator("h3.header")).to_have_count(1)


async def test_a_host_can_be_hung_and_freed(page, stage):
    for hangs, label in ((True, "Trouble (1)"), (False, "Trouble")):
        await page.locator("#trouble-button").click()
        await page.get_by_role("menuitemcheckbox", name="Hang hv05").click()
        await expect(page.locator("#trouble-button")).to_have_text(label)
        assert stage.estate.world.machine("hv05").trouble.hang is hangs


async def test_another_story_is_another_world_with_a_ledger_of_its_own(page, stage):
    await page.keyboard.press("Enter")
    await expect(page.locator("h3.header")).to_have_count(1)
    before = stage.estate.settings_path
    await page.get_by_label("Scenario").select_option("Patch drift")
    await page.get_by_role("button", name="Start Over").click()
    await expect(page.locator("#messages")).to_contain_text("KB2607712")
    await expect(page.locator("h3.header")).to_have_count(0)
    await expect(page.locator("#composer-text")).to_have_value("/verify-kb-drift prod")
    assert stage.estate.settings_path.parent != before.parent
    await stage.slack.connected()
    await expect(page.locator("#notice")).to_be_hidden()


async def test_dropped_connections_are_said(page, stage):
    await page.get_by_role("button", name="Trouble").click()
    await page.get_by_role("menuitem", name="Drop Slack").click()
    await expect(page.locator("#notice")).to_have_text(
        "The bot lost its connection to Slack. It connects again by itself."
    )
