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
        async with asyncio.timeout(60):
            while not self.address:
                line = (await self.process.stdout.readline()).decode()
                assert line, f"it ended: {self.said}"
                self.said += line
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                self.address = found[0] if found else ""

    async def ends(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
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
    await page.get_by_role("button", name="Free 2 GB on test-tfs-01 C:").click()
    await expect(page.locator(".facts")).to_contain_text("[1] no error", timeout=ANSWER)
    await page.get_by_role("button", name="Look Again").first.click()
    await expect(headers).to_have_count(2, timeout=ANSWER)
    await expect(headers.last).not_to_contain_text("STUCK")
    tour = page.get_by_role("region", name="Guided tour")
    await tour.get_by_role("button", name="Skip step").click()
    code, said = await verified(await tour.locator(".shell").inner_text())
    assert code == 0, said
    assert await stage.ends() == 0
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
    visitors.complaints.clear()  # the page has, rightly, missed its server
