"""A backup is pending and hv03 will not drain: from the alert to the writer that is well again."""

from datetime import UTC, datetime, timedelta
from functools import partial

from lab.slack.blockkit_walk import placed
from lab.slack.plain_text import plain_text
from lab.world import backup


def labels(message) -> list[str]:
    return [one.element["text"]["text"] for one in placed(message.blocks) if one.element.get("type") == "button"]


async def test_the_writer_is_named_the_guest_found_freed_and_the_writer_recovers(play):
    async with play("stuck-writer") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("sap-old-01", "hang", on=False))  # silence is another test's
        await ops.says("/check-writers prod")
        stuck = await ops.sees("Hyper-V writer LOOKS STUCK on hv03")
        told = plain_text(stuck)
        for fact in (
            "6 of 6 nodes answered",
            "[5] Waiting for completion",
            "9 of 11",
            "5960",
            "test-tfs-01",
            "10102",
            "Don't drain, pause or reboot hv03",
        ):
            assert fact in told
        assert told.index("Do now") < told.index("Caution") < told.index("1137")
        assert labels(stuck)[0] == "Find Full Guests"
        assert stuck in ops.slack.person("operator").ephemerals()

        await ops.clicks(stuck, "Find Full Guests")
        full = await ops.sees("test-tfs-01 has 0 MB free on C:")
        told = plain_text(full)
        for fact in ("53 of 55", "sql-stage-02", "412 MB", "Free 1 GB or more on C:", "crm-03", "login was refused"):
            assert fact in told

        await ops.guest_admin("Free 2 GB on test-tfs-01 C:")
        ops.estate.do(lambda: backup.resume(ops.estate.world, ops.estate.world.jobs[48211]))  # in its own console
        await ops.until("hv03 writer", "[1]")
        await ops.clicks(stuck, "Check Again")
        well = plain_text(await ops.sees("prod: Hyper-V writer RECOVERED on hv03"))
        assert "it was [5]" in well
        assert "No guest on hv03 is locked now" in well
        assert "hv03" in well[well.index("STABLE") :]

        await ops.recorded("shown", 3)
        kinds = [entry.kind for entry in ops.ledger()]
        assert kinds.count("asked") == kinds.count("answered") == 3
        assert kinds.count("clicked") == 2
        assert kinds.count("shown") == 3


async def test_two_samples_two_minutes_apart_make_it_stuck(play, monkeypatch):
    async with play("stuck-writer") as ops:
        await ops.says("/check-writers hv03")
        await ops.sees("LOOKS STUCK on hv03")
        # The ledger of this bot now holds a sample of a moment ago. Only its age is moved, where it is recalled.
        ago = datetime.now(UTC) - timedelta(minutes=10)  # the snapshot is older

        def earlier(recall, on, what, since):
            return [{**sample, "at": f"{ago:%Y-%m-%dT%H:%M:%S.%fZ}"} for sample in recall(on, what, since)]

        for engine in ops.engines:  # whichever bot is asked
            monkeypatch.setattr(engine.ledger, "recall", partial(earlier, engine.ledger.recall))
        await ops.says("/check-writers hv03")
        stuck = await ops.sees("Hyper-V writer STUCK on hv03")
        assert "First seen" in plain_text(stuck)


async def test_a_node_that_hangs_is_unknown_and_the_others_are_intact(play):
    async with play("stuck-writer") as ops:
        ops.estate.do(lambda: ops.estate.world.trouble("hv05", "hang", on=True))
        await ops.says("/check-writers prod")
        told = plain_text(await ops.sees("LOOKS STUCK on hv03"))
        assert "5 of 6 nodes answered" in told
        assert "UNKNOWN hv05" in told
        assert "no answer in 8 s" in told
        assert "hv01 hv02 hv04" in told


async def test_an_answer_outlives_the_bot_that_gave_it(play):
    async with play("stuck-writer") as ops:
        await ops.says("/check-writers hv01")
        answer = await ops.sees("hv01: VSS writers healthy")
        await ops.ends()
        await ops.starts()
        await ops.clicks(answer, "Check Again")
        again = await ops.sees("hv01: VSS writers healthy")
        assert again.ts != answer.ts
        await ops.clicks(answer, "Evidence")
        view = await ops.slack.person("operator").sees_view("vssadmin list writers")
        assert "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de" in plain_text(view)


async def test_dropped_connections_come_back(play):
    async with play("stuck-writer") as ops:
        ops.slack.socket.drop()
        await ops.until_connected()
        await ops.says("/check-writers hv01")
        await ops.sees("hv01: VSS writers healthy")


async def test_a_shared_answer_names_who_shared_it(play):
    async with play("stuck-writer") as ops:
        await ops.says("/check-writers hv03")
        answer = await ops.sees("LOOKS STUCK on hv03")
        await ops.clicks(answer, "Share")
        shared = await ops.sees("LOOKS STUCK on hv03", who="viewer", channel="hv-ops")
        assert shared in ops.slack.person("viewer").messages("hv-ops")
        assert "Shared by" in plain_text(shared)
