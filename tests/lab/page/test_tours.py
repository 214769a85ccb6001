"""Every tour, followed to its end by clicking what it says: the lines that it offers, and the buttons that it shows.

Nothing is known here of any story: each step is what the page says of it. `make tours` follows all of them.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Error, Locator, Page

from lab.app_manifest import bot_manifest
from lab.demo import verify_command
from lab.demo_api import DemoApi
from lab.demo_session import DemoSession, in_order
from lab.scenarios import tour
from lab.slack.server import FakeSlack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HASTY = Path(__file__).with_name("hasty_bot.py").read_text()
LONGEST = 300  # seconds for one step on a busy machine; nothing is judged by them
SHORT = ("freeze", "missing-vm", "redirect-loop")  # followed by `make test-lab` as well


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def stage(tmp_path_factory):
    """One practice Slack for all tours; what takes machines minutes takes them moments."""
    with pytest.MonkeyPatch.context() as patch:
        for name, seconds in {
            "migration.SECONDS": dict.fromkeys(("live", "quick", "offline"), 0.05),
            "drain.BETWEEN": 0.02,
            "services.STOPPING_SECONDS": 0.1,
            "services.STARTING_SECONDS": 0.1,
            "backup.SNAPSHOT_SECONDS": 0.5,
            **{
                f"replica_methods.{one}_SECONDS": 0.0
                for one in ("SHUTDOWN", "SENDING", "FAILOVER", "START", "REVERSAL")
            },
        }.items():
            patch.setattr(f"lab.world.{name}", seconds)
        slack = FakeSlack(manifest=await bot_manifest())
        root = tmp_path_factory.mktemp("tours")
        stage = DemoSession(slack, root, lambda settings: (sys.executable, "-c", HASTY, str(settings)), verify_command)
        DemoApi(stage).add_to(slack.application.router)
        async with slack:
            await stage.begin(next(iter(in_order())))
            yield stage
            await stage.end()


async def happened(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Whether the page comes to show something. It may be drawn anew in the middle of a look, which is another try then."""
    began = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() - began < LONGEST:
        try:
            if await condition():
                return True
        except Error as error:
            if "closed" in str(error):
                raise
        await asyncio.sleep(0.05)
    return False


class Follower:
    """Somebody who does what the tour says, and nothing else."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.tour = page.get_by_role("region", name="Guided tour")
        self.dialog = page.locator("dialog[open]").last

    async def title(self) -> str:
        return await self.tour.locator("p.step strong").inner_text(timeout=1_000)

    async def is_at(self, title: str) -> bool:
        return await self.title() == title

    async def to_the_end(self) -> list[str]:
        """Follow all steps, and answer their titles; the last is the one with a command line for a terminal."""
        seen = [await self.title()]
        while not await self.tour.locator(".shell").count():
            await self.step(seen[-1])
            seen.append(await self.title())
        return seen

    async def step(self, title: str) -> None:
        """One step: its line is typed where it comes first, its buttons are pressed in their order."""
        line, presses = await self.line(), await self.presses()
        first = presses[0] if presses else ""
        if first == "Act as › Operator" and line:
            await self.press(presses.pop(0), title)
        is_typed = not line
        # Of a line that was typed in a step before.
        is_about_an_answer = not first.startswith("Act as") and await self.shows(first)
        if line and not first.startswith(("World", "Trouble")) and not is_about_an_answer:
            is_typed = await self.types(line)
        for one in presses:
            await self.press(one, title)
        if not is_typed and not any(one.startswith("Message") for one in presses):
            await self.types(line)

        async def is_over() -> bool:
            if not await self.is_at(title):
                return True
            await self.answers_windows()
            if "Message › Done" in presses and await self.shows("Message › Done"):
                await self.press("Message › Done", title)
            return not await self.is_at(title)

        await self.until(is_over, f"the end of the step {title!r}")

    async def line(self) -> str:
        found = self.tour.locator("button.line code")
        return await found.inner_text() if await found.count() else ""

    async def presses(self) -> list[str]:
        return await self.tour.locator("button.where").all_inner_texts()

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        if not await happened(condition):
            pytest.fail(f"not seen: {what}. The conversation:\n{await self.conversation()}")

    async def types(self, line: str) -> bool:
        """The line is put into the message box by the tour's own button, and sent."""
        await self.tour.locator("button.line").click()
        assert await self.page.locator("#composer-text").input_value() == line
        await self.page.keyboard.press("Enter")
        return True

    async def shows(self, press: str) -> bool:
        """Whether the tour can show that button now: it rings it."""
        if not press or not await self.where(press).count():
            return False
        await self.where(press).click()
        pointed = self.page.locator("button.pointed")
        return bool(await pointed.count()) and await pointed.is_enabled()

    def where(self, press: str) -> Locator:
        return self.tour.get_by_role("button", name=press, exact=True)

    async def press(self, press: str, title: str) -> None:
        """Press what the tour rings, once it is there, and answer what it asks; a step may be over before."""

        before = ""

        async def is_pressed() -> bool:
            nonlocal before
            if not await self.is_at(title):
                return True
            if not await self.shows(press):
                return False
            before = await self.conversation()
            await self.page.locator("button.pointed").click(timeout=2_000)  # a message that is edited is drawn anew
            return True

        await self.until(is_pressed, f"{press}, at {title!r}")
        if not press.startswith("Message") or not await self.is_at(title):
            return

        async def is_answered() -> bool:
            return bool(await self.dialog.count()) or await self.conversation() != before or not await self.is_at(title)

        await self.until(is_answered, f"an answer to {press}")
        await self.answers_windows()

    async def conversation(self) -> str:
        return await self.page.locator("#messages").inner_text()

    async def answers_windows(self) -> None:
        """Say yes to a question, fill in what a window asks for, and send it off."""
        while await self.dialog.count():
            window = self.dialog
            for field in await window.locator("textarea, input[type=text]").all():
                if not await field.input_value():
                    await field.fill("Agreed with the service desk.")
            yes = window.locator("button[value=yes], button[type=submit]")
            if not await yes.count():
                await window.get_by_role("button", name="Close").last.click()
            else:
                await yes.last.click()

            async def is_gone() -> bool:
                return not await self.dialog.count()

            await self.until(is_gone, "the end of a window")


async def begins(page: Page, stage: DemoSession, story: str) -> None:
    """Choose the story in the page, as people do."""
    is_there = await page.locator("#story").input_value() == story
    await page.locator("#story").select_option("again" if is_there else story)
    await page.get_by_role("dialog").get_by_role("button", name="Start Over").click()

    async def stands() -> bool:
        estate = stage.estate
        return estate is not None and estate.story == story and await page.locator("#notice").is_hidden()

    assert await happened(stands), f"the story {story} does not begin"


STORIES = [pytest.param(one, marks=[] if one in SHORT else [pytest.mark.long]) for one in in_order()]


@pytest.mark.parametrize("story", STORIES)
async def test_the_tour_is_followed_to_its_end_by_clicking(stage, visitors, story):
    page = await visitors.opens(stage.slack.address)
    await begins(page, stage, story)
    follower = Follower(page)
    seen = await follower.to_the_end()
    assert seen == [*(step.title for step in tour(story)), seen[-1]]
    shell = await follower.tour.locator(".shell").inner_text()
    proof = await asyncio.create_subprocess_shell(shell, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    said, _ = await proof.communicate()
    assert proof.returncode == 0, said.decode()
    await follower.tour.get_by_role("button", name="Finish").click()
    await follower.tour.get_by_text("That was the tour.").wait_for()
