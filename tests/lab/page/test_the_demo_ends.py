"""The server of an open page ends: it says so first, so that the page asks nothing of a port that is closed.

A browser writes every refused request into its console, whoever asked and whatever the page makes of it. So the visitor's
having nothing to complain of is what these tests are about.
"""

import asyncio
import sys

import pytest
import pytest_asyncio
from playwright.async_api import expect

from lab.demo import verify_command
from lab.demo_api import DemoApi
from lab.demo_session import DemoSession
from lab.slack.server import FakeSlack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WAITS = (sys.executable, "-c", "import time; time.sleep(600)")
LONGER_THAN_ITS_PATIENCE = 4_000  # ms: it looks around every 1.5 s, and a browser connects again after 3 s
ENDED = "The demo has ended. Start `hvops demo` again and come back to this page: it goes on by itself."


class Demos:
    """One demo after the other, all at the same port."""

    def __init__(self, root):
        self.root = root
        self.port = 0
        self.slack = self.stage = None

    async def begin(self, story):
        self.slack = FakeSlack(self.port)
        self.stage = DemoSession(self.slack, self.root, lambda settings: WAITS, verify_command)
        DemoApi(self.stage).add_to(self.slack.application.router)
        await self.slack.__aenter__()
        self.port = int(self.slack.address.rpartition(":")[2])
        await self.stage.begin(story)

    async def end(self):
        if self.slack is not None:
            slack, self.slack = self.slack, None
            await slack.farewell()
            await self.stage.end()
            await slack.__aexit__()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path):
    demos = Demos(tmp_path)
    await demos.begin("stuck-writer")
    yield demos
    await demos.end()


async def test_a_page_asks_nothing_of_a_demo_that_has_ended(visitors, stage):
    page = await visitors.opens(stage.slack.address)
    await stage.end()
    await expect(page.locator("#notice")).to_have_text(ENDED)
    await page.locator("#composer-text").fill("/check-writers prod")
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer .trouble")).to_contain_text("The demo has ended.")
    await page.wait_for_timeout(LONGER_THAN_ITS_PATIENCE)
    visitors.checked()


async def test_what_is_under_way_is_still_answered(visitors, stage, monkeypatch):
    asked, answered = asyncio.Event(), asyncio.Event()
    as_json = stage.stage.as_json

    async def late():
        asked.set()
        await answered.wait()
        return await as_json()

    page = await visitors.opens(stage.slack.address)
    monkeypatch.setattr(stage.stage, "as_json", late)
    await asked.wait()
    ending = asyncio.create_task(stage.end())
    await expect(page.locator("#notice")).to_have_text(ENDED)
    answered.set()
    await ending
    await page.wait_for_timeout(LONGER_THAN_ITS_PATIENCE)
    visitors.checked()


async def test_a_demo_that_was_started_again_is_found_when_somebody_looks(visitors, stage):
    page = await visitors.opens(stage.slack.address)
    await stage.end()
    await expect(page.locator("#notice")).to_have_text(ENDED)
    await stage.begin("patch-drift")
    await page.evaluate("window.dispatchEvent(new Event('focus'))")
    await expect(page.locator("#messages")).to_contain_text("KB2607712")
    await expect(page.get_by_label("Scenario").locator("option:checked")).to_have_text("Patch drift")
    await expect(page.locator("#notice")).not_to_contain_text("ended")
    stage.slack.alert("It can be heard again.")
    await expect(page.locator("#messages")).to_contain_text("It can be heard again.")


async def test_a_page_looks_at_the_world_while_another_story_is_begun(visitors, stage):
    page = await visitors.opens(stage.slack.address)
    looks = "n => Promise.all([...Array(n)].map(() => fetch('/practice/world').then(answer => answer.status)))"
    for story in ("patch-drift", "healthy"):
        beginning = asyncio.create_task(stage.stage.begin(story))
        seen = []
        while not beginning.done():
            seen += await page.evaluate(looks, 4)
        await beginning
        assert set(seen) == {200}
