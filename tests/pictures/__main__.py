"""Draw the pictures of the docs: each card, Home and the audit, at 1400 and at 390 pixels, out of the practice environment.

    python -m tests.pictures [FOLDER] [--only NAME]    # FOLDER: docs/pictures

The real bot runs behind the practice Slack, with the waits of the tests. What a picture needs is done in one window; both
windows are drawn. A picture that cannot be drawn is named, the others are drawn all the same, and the exit code is 1.
docs/pictures.md shows what is in docs/pictures, and is written with them.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Error, Locator, Page, async_playwright

from lab.app_manifest import bot_manifest
from lab.demo import verify_command
from lab.demo_api import DemoApi
from lab.demo_session import DemoSession
from lab.slack.server import FakeSlack
from tests.pictures.gallery import page_of
from tests.pictures.palette import draw_small

ROOT = Path(__file__).parents[2]
SHOWN = ROOT / "docs" / "pictures"
HASTY = (ROOT / "tests" / "lab" / "page" / "hasty_bot.py").read_text("utf-8")
WIDTHS = {1400: 900, 390: 844}  # pixels: a desk and a phone -> their heights
TALL = 6_000  # pixels: a whole card is drawn, however long it is
PATIENCE = 60_000  # milliseconds
PLACEHOLDER = re.compile(r"<(?:address|digest|folder|hash|n|port|seconds|ts|version)>")  # of tests/snapshots


@dataclass
class Desk:
    """Both windows of one person, and the session behind them."""

    session: DemoSession
    pages: dict[int, Page]
    folder: Path
    missed: list[str]

    @property
    def page(self) -> Page:
        """Where something is done."""
        return self.pages[max(self.pages)]

    async def begin(self, story: str) -> None:
        """Another story, from its start; both windows load it."""
        await self.session.begin(story)
        await self.session.slack.connected(2)
        for page in self.pages.values():
            await page.goto(f"{self.session.slack.address}#operator")
            await page.reload()
            await page.locator("#people [aria-selected=true]").wait_for()

    async def types(self, line: str) -> None:
        """Send a line as whoever this is."""
        await self.page.locator("#composer-text").fill(line)
        await self.page.keyboard.press("Escape")
        await self.page.locator("#composer .send").click()

    async def becomes(self, person: str) -> None:
        """Both windows act as somebody else."""
        for page in self.pages.values():
            await page.get_by_role("tab", name=person).click()

    async def card(self, name: str, header: str) -> Locator:
        """Draw the newest message with such a header, whole, in both windows. Answers the one where things are done."""
        for width, page in self.pages.items():
            found = message(page, header)
            await found.wait_for()
            if left := PLACEHOLDER.search(await found.inner_text()):
                raise Error(f"{name}: {left[0]} stands where a value belongs")
            await page.set_viewport_size({"width": width, "height": TALL})
            await still(found, self.path(name, width))
            await page.set_viewport_size({"width": width, "height": WIDTHS[width]})
        return message(self.page, header)

    async def screen(self, name: str) -> None:
        """Draw both windows as they are."""
        for width, page in self.pages.items():
            await draw_small(page, self.path(name, width))

    async def window(self, name: str, button: str, header: str) -> Locator:
        """Press a button of a card, and draw the window that opens, in both. Answers the one where things are done."""
        await message(self.page, header).get_by_role("button", name=button).first.click()
        for width, page in self.pages.items():
            dialog = page.get_by_role("dialog").last
            if width != max(self.pages) and not await dialog.count():  # what only the browser asks opens in one window
                await message(page, header).get_by_role("button", name=button).first.click()
            await dialog.wait_for()
            await draw_small(dialog, self.path(name, width))
        return self.page.get_by_role("dialog").last

    def path(self, name: str, width: int) -> Path:
        """Where a picture goes."""
        return self.folder / f"{name}-{width}.png"


async def still(found: Locator, path: Path) -> None:
    """Draw an element; a card that is edited in the middle of it is drawn again."""
    for _ in range(20):
        try:
            await draw_small(found, path)
        except Error as error:
            if "not attached" not in str(error):
                raise
        else:
            return
    raise Error(f"{path.name}: it never stood still")


def message(page: Page, header: str) -> Locator:
    """The newest message with a header that matches."""
    return page.locator("#messages .message", has=page.locator("h3.header", has_text=re.compile(header))).last


async def stuck(desk: Desk) -> None:
    """Answers, a plan that is blocked, one that its requester confirms, and the audit."""
    await desk.types("/check-writers prod")
    await desk.card("answer", r"Hyper-V writer .*STUCK")
    await desk.screen("channel")
    await desk.types("/reset-writer hv03")
    await desk.card("blocked", r"^No plan yet for hv03")
    await desk.types("/find-full-guests hv03")
    await desk.card("full-guests", r"test-tfs-01 has 0 MB")
    await desk.session.act("free-2gb")
    await desk.types("/resume-backup 48211")
    card = await desk.card("confirm", r"^Resume backup 48211.*\?$")
    await card.get_by_role("button", name="Confirm").click()
    await desk.page.get_by_role("dialog").get_by_role("button").last.click()
    await desk.card("confirmed-done", r"^Done: Resume backup")
    await desk.types("/audit")
    await desk.card("audit", r"^Audit")
    await home(desk, "home")
    await desk.becomes("No role")
    await home(desk, "home-no-role")


async def reset(desk: Desk) -> None:
    """A plan of high risk from its proposal to its end."""
    await desk.types("/reset-writer hv03")
    await desk.card("proposed", r"^Reset writer on hv03\?$")
    await desk.becomes("Approver")
    dialog = await desk.window("approve", "Approve", r"Reset writer on hv03")
    for page in list(desk.pages.values())[1:]:
        await page.keyboard.press("Escape")
    await dialog.get_by_role("button", name=re.compile("^Approve")).click()
    await desk.card("running", r"step \d+ of \d+")
    await desk.card("done", r"^Done: Reset writer on hv03")
    await home(desk, "home-approver")


async def missing(desk: Desk) -> None:
    """A plan in VMM's database: proposed, rejected, withdrawn."""
    await desk.types("/find-missing-vms vmm")
    await desk.card("missing-vm", r"crm-01 is missing in VMM")
    await desk.types("/fix-missing-vm crm-01 --by database")
    await desk.card("proposed-database", r"^Fix missing VM crm-01 .*\?$")
    await desk.becomes("Approver")
    dialog = await desk.window("reject", "Reject…", r"Fix missing VM")
    await dialog.locator("textarea, input").first.fill("Refresh it in VMM first.")
    await dialog.get_by_role("button", name="Reject").click()
    await desk.card("rejected", r"^Rejected: ")


async def frozen(desk: Desk) -> None:
    """A change inside a freeze."""
    await desk.types("/drain-node hv03")
    await desk.card("frozen", r"^Drain node hv03\?$")


async def long_plan(desk: Desk) -> None:
    """A plan of very many steps."""
    await desk.types("/drill crm")
    await desk.card("proposed-drill", r"^Fail crm over to branch")


async def updates(desk: Desk) -> None:
    """The other one, of two nodes."""
    await desk.types("/fix-kb-drift prod blocked-hotfix")
    await desk.card("proposed-updates", r"^Fix updates of prod")


async def browsing(desk: Desk) -> None:
    """A plan with a step by hand."""
    await desk.types("/fix-remote-browsing hv02")
    await desk.card("proposed-browsing", r"Fix remote browsing on hv02")


async def unserved(desk: Desk) -> None:
    """What a load balancer's health check hides, and the plan that fixes it."""
    await desk.types("/check-virtual-service lm01 ntrip --host ntrip.surveyor.example")
    await desk.card("virtual-service", r"wrong health check")
    await message(desk.page, r"wrong health check").get_by_role("button", name="Fix Health Check…").click()
    await desk.card("proposed-health-check", r"^Fix health check")


def asks(line: str, name: str, header: str) -> Callable[[Desk], Awaitable[None]]:
    """A story of one answer."""

    async def play(desk: Desk) -> None:
        await desk.types(line)
        await desk.card(name, header)

    return play


async def home(desk: Desk, name: str) -> None:
    """The Home tab, in both windows."""
    for page in desk.pages.values():
        await page.locator("#channels").get_by_role("button", name="Home").click()
        await page.locator("#home h3.header").first.wait_for()
    await desk.screen(name)
    for page in desk.pages.values():
        await page.locator("#channels").get_by_role("button", name="hv-ops").click()


STORIES: dict[str, Callable[[Desk], Awaitable[None]]] = {
    "stuck-writer": stuck,
    "stuck-writer-job-dead": reset,
    "missing-vm": missing,
    "freeze": frozen,
    "drill": long_plan,
    "kb-drift-fix": updates,
    "remote-browsing": browsing,
    "host-header-check": unserved,
    "patch-drift": asks("/verify-kb-drift prod", "updates", r"^prod"),
    "clock-skew": asks("/check-time-skew prod", "clocks", r"^prod"),
    "continuity": asks("/check-continuity crm", "continuity", r"^crm"),
    "boot-layout": asks("/check-boot-layout prod", "boot-layout", r"^prod"),
    "redeploy-uefi": asks("/redeploy-uefi hv05", "by-hand", r"^Erase hv05 .*\?$"),
    "old-integration": asks("/check-integration-services prod", "integration-services", r"^prod"),
    "storvsc-stop": asks("/check-storvsc-risk prod", "storvsc", r"^prod"),
    "redirect-loop": asks("/check-redirects http://www.surveyors.example/", "redirects", r"redirect|path grows"),
}


async def draw(folder: Path, only: str) -> list[str]:
    """Draw all, or those of one story. Answers what could not be drawn."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return ["chromium is missing: deploy/system-packages.sh test"]
    slack = FakeSlack(manifest=await bot_manifest())
    with tempfile.TemporaryDirectory(prefix="hvops-pictures-") as made:
        session = DemoSession(
            slack, Path(made), lambda settings: (sys.executable, "-c", HASTY, str(settings)), verify_command
        )
        DemoApi(session).add_to(slack.application.router)
        async with slack, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            try:
                return await _stories(session, browser, folder, only)
            finally:
                await session.slack.farewell()
                await browser.close()
                await session.end()


async def _stories(session: DemoSession, browser: Browser, folder: Path, only: str) -> list[str]:
    missed: list[str] = []
    for story, play in STORIES.items():
        if only not in ("", story):
            continue
        pages = {}
        for width, height in WIDTHS.items():
            context = await browser.new_context(
                viewport={"width": width, "height": height}, reduced_motion="reduce", color_scheme="light"
            )
            context.set_default_timeout(PATIENCE)
            pages[width] = await context.new_page()
        desk = Desk(session, pages, folder, missed)
        try:
            await desk.begin(story)
            await play(desk)
        except Error as error:
            missed.append(f"{story}: {str(error).splitlines()[0]}")
        for page in pages.values():
            await page.context.close()
    return missed


def main() -> int:
    """Read the command line. Returns the exit code."""
    words = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__.splitlines()[0])
    words.add_argument("folder", nargs="?", type=Path, default=SHOWN)
    words.add_argument("--only", default="", choices=["", *STORIES])
    told = words.parse_args()
    told.folder.mkdir(parents=True, exist_ok=True)
    missed = asyncio.run(draw(told.folder, told.only))
    if told.folder == SHOWN:
        (ROOT / "docs" / "pictures.md").write_text(page_of(told.folder), "utf-8")
    for one in missed:
        sys.stderr.write(f"Not drawn: {one}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
