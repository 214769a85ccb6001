"""What people see in Slack, story by story."""

import re

REFUSALS = {
    "usage": ("/check-writers", "is missing"),
    "unknown-host": ("/check-writers hv99", "There is no cluster or host"),
    "misspelt-cluster": ("/check-writers prud", "prod"),
    "left-over": ("/check-writers prod now", "Unexpected words"),
    "unknown-option": ("/check-writers prod --now", "There is no option --now"),
    "unknown-command": ("/hvops chek-writers prod", "check-writers"),
    "not-a-size": ("/find-full-guests prod --free lots", "is not a size"),
    "too-long": ("/check-writers " + "a" * 4_000, "reads at most"),
    "wrong-kind": ("/check-writers vmm", "this command takes a cluster or a host"),
    "no-such-job": ("/resume-backup 99", "No plan for job 99"),
    "not-a-job": ("/resume-backup tonight", "a backup job number"),
    "audit-two-places": ("/audit prod branch", "Name one cluster, host or ticket, not"),
}

ENDS = [f"--kind={kind}" for kind in ("proposed", "approved", "rejected", "withdrawn", "failed", "done", "expired")]
LEDGER = {
    "terminal-doctor": ["doctor"],
    "terminal-audit-list": ["audit", "list", *ENDS],
    "terminal-audit-show": ["audit", "show", "T-5"],
    "terminal-audit-search": ["audit", "search", "Not during the backup window", "--limit", "1"],
    "terminal-audit-export": ["audit", "export", "--kind", "rejected"],
    "terminal-audit-verify": ["audit", "verify"],
    "terminal-audit-none": ["audit", "show", "T-99"],
}


def without_shown(text: str) -> str:
    """What was shown where is written after it is seen, sooner or later."""
    return "\n".join(line for line in text.split("\n") if " shown " not in line)


async def test_healthy_answers_and_refusals(play):
    async with play("healthy", "healthy") as scene:
        await scene.asks("help", "/hvops help", "What you can ask")
        await scene.asks("help-nobody", "/hvops help", "You have no role in hvops", "nobody")
        await scene.asks("help-approver", "/hvops", "What you can ask", "approver")
        await scene.asks("status", "/hvops status", "2 of 2 connections open")
        await scene.asks("status-nobody", "/hvops status", "You have no role in hvops", "nobody")
        await scene.asks("runs-none", "/hvops runs", re.compile("(?i)nothing|no "))
        for name, (line, says) in REFUSALS.items():
            await scene.asks(f"refused-{name}", line, says)
        await scene.asks("refused-no-role", "/check-writers prod", "Not allowed. You have no role", "nobody")
        await scene.asks("refused-viewer-drains", "/drain-node hv03", "This needs the operator role", "viewer")

        writers = await scene.asks("check-writers-prod", "/check-writers prod", "VSS writers healthy on all 6 nodes")
        one = await scene.asks("check-writers-hv01", "/check-writers hv01", "hv01: VSS writers healthy")
        await scene.opens_evidence("check-writers-hv01", one)
        await scene.clicks(one, "Share")
        shared = await scene.sees("hv01: VSS writers healthy", "nobody", "hv-ops")
        scene.keeps("check-writers-hv01-shared", shared)
        await scene.clicks(shared, "Show Answer", "nobody")
        scene.keeps("refused-button-no-role", await scene.sees("Not allowed. You have no role", "nobody"))
        await scene.clicks(writers, "Check Again")
        scene.keeps("check-writers-prod-again", await scene.sees("VSS writers healthy on all 6 nodes"))
        await scene.asks("find-full-guests-prod", "/find-full-guests prod", "guests answered")
        await scene.asks("find-full-guests-branch", "/find-full-guests branch", "guests answered")
        await scene.asks("find-missing-vms", "/find-missing-vms vmm", "VMM and hosts agree")
        await scene.asks("check-time-skew-prod", "/check-time-skew prod", "6 nodes agree")
        await scene.asks("check-boot-layout-prod", "/check-boot-layout prod", "on all 6 hosts")
        await scene.asks("check-host-access-prod", "/check-host-access prod", "on all 6 hosts")
        await scene.asks("check-host-access-vmm01", "/check-host-access vmm01", "vmm01 runs the service of vmm")
        await scene.asks("verify-kb-drift-prod", "/verify-kb-drift prod", "6 nodes")
        await scene.asks("verify-kb-drift-branch", "/verify-kb-drift branch", "4 nodes")
        await scene.asks("no-plan-nothing-missing", "/fix-missing-vm crm-01", "Nothing to fix")
        await scene.asks("no-plan-browsing-other-windows", "/fix-remote-browsing br01", "No plan for br01")
        await scene.asks("no-plan-writer-is-well", "/reset-writer hv01", "Nothing to reset")
        await scene.asks("no-plan-node-is-up", "/resume-node hv01", "Nothing to resume")
        await scene.world(lambda: scene.estate.world.trouble("hv05", "refuse", on=True))
        await scene.asks("check-writers-one-silent", "/check-writers prod", "UNKNOWN")
        await scene.asks("check-host-access-one-silent", "/check-host-access prod", "hv05 unknown")
        await scene.asks("verify-kb-drift-one-silent", "/verify-kb-drift prod", "UNKNOWN")
        await scene.asks("no-plan-one-silent", "/drain-node hv03", "o plan")


async def test_a_drain_in_all_its_states(play, terminal):  # noqa: PLR0915 - one long story costs one start
    async with play("healthy", "drain-node") as scene:
        scene.keeps("home-nobody", await scene.home("nobody", "hvops"))
        scene.keeps("home-operator-at-first", await scene.home("operator", "hvops"))

        await scene.says("/drain-node hv03")
        plan = await scene.sees("Drain node hv03?", channel="hv-ops")
        scene.keeps("proposed", plan)
        await scene.clicks(plan, "Approve")
        scene.keeps("refused-approve-own", await scene.sees("so another approver must decide"))
        await scene.clicks(plan, "Approve", "viewer")
        scene.keeps("refused-approve-viewer", await scene.sees("needs the approver role", "viewer"))
        await scene.asks("runs", "/hvops runs", "T-1")
        scene.keeps("home-approver-waiting", await scene.home("approver", "1 to decide"))
        await scene.asks("stop", "/hvops stop power work", "until someone runs /hvops go", "approver")
        scene.keeps("stop-in-the-channel", await scene.sees("stopped all changes", "approver", channel="hv-ops"))
        await scene.asks("status-stopped", "/hvops status", re.compile("(?i)connections open"))
        await scene.asks("go", "/hvops go", "Changes can start again. (entry", "approver")
        scene.keeps("go-in-the-channel", await scene.sees("allowed changes again", "approver", channel="hv-ops"))
        await scene.clicks(plan, "Withdraw")
        withdrawn = await scene.card("Withdrawn: Drain node hv03")
        await scene.ended("T-1", "Withdrawn")
        scene.keeps("withdrawn", withdrawn)
        scene.keeps_thread("withdrawn-thread", withdrawn)
        await scene.says("/drain-node hv03")
        plan = await scene.sees("Drain node hv03?", channel="hv-ops")
        await scene.rejects(plan, "Reject…", "Not during the backup window.", "reject-modal")
        rejected = await scene.card("Rejected: Drain node hv03")
        await scene.ended("T-2", "Rejected")
        scene.keeps("rejected", rejected)
        scene.keeps_thread("rejected-thread", rejected)

        await scene.says("/drain-node hv03")
        plan = await scene.sees("Drain node hv03?", channel="hv-ops")
        await scene.clicks(plan, "Approve", "approver")
        scene.keeps("approved-reply", await scene.sees("T-3: approved", "approver"))
        done = await scene.card("Done: Drain node hv03")
        await scene.ended("T-3", "Done")
        scene.keeps("done", done)
        scene.keeps_thread("done-thread", done)
        await scene.story("done-story", done, "History")

        await scene.says("/resume-node hv03")
        plan = await scene.sees("Resume node hv03?", channel="hv-ops")
        scene.keeps("resume-proposed", plan)
        await scene.clicks(plan, "Confirm", "approver")
        scene.keeps("resume-refused-confirm", await scene.sees("can confirm it", "approver"))
        await scene.clicks(plan, "Confirm")
        done = await scene.card("Done: Resume node hv03")
        await scene.ended("T-4", "Done")
        scene.keeps("resume-done", done)
        scene.keeps_thread("resume-done-thread", done)

        # a guest is locked at the moment in which the node is asked to pause: the drain fails
        late = scene.estate.world.node("hv04").guests[-1]
        scene.estate.world.when_asked = lambda: setattr(late, "locked", True)
        await scene.says("/drain-node hv04")
        plan = await scene.sees("Drain node hv04?", channel="hv-ops")
        await scene.clicks(plan, "Approve", "approver")
        failed = await scene.card("Failed at step 1: Drain node hv04")
        await scene.ended("T-5", "Failed")
        scene.keeps("failed", failed)
        scene.keeps_thread("failed-thread", failed)
        await scene.world(lambda: setattr(late, "locked", False))
        await scene.clicks(failed, "Undo…")
        undo = await scene.sees("Undo T-5 on hv04?", channel="hv-ops")
        scene.keeps("undo-proposed", undo)
        await scene.clicks(undo, "Approve", "approver")
        done = await scene.card("Done: Undo T-5")
        await scene.ended("T-6", "Done")
        scene.keeps("undo-done", done)
        scene.keeps_thread("undo-done-thread", done)

        # a proposal that nobody decides
        await scene.says("/drain-node hv03")
        plan = await scene.sees("Drain node hv03?", channel="hv-ops")
        scene.passes(31 * 60)
        expired = await scene.card("Expired without a decision: Drain node hv03")
        await scene.ended("T-7", "Expired")
        scene.keeps("expired", expired)

        node = scene.estate.world.node("hv05")
        await scene.world(lambda: setattr(node.cluster, "updating_from", node))
        await scene.asks("no-plan-cluster-is-updated", "/drain-node hv03", "No plan yet for hv03")

        answer = await scene.asks("audit-prod", "/audit prod", "Audit prod", "viewer")
        await scene.has_sent("audit-prod", answer, "Send CSV", "audit-prod.csv", "viewer")
        await scene.story("audit-story-T-5", answer, "History T-5", "viewer")
        await scene.asks("audit-ticket", "/audit T-3", "T-3", "approver")
        await scene.asks("audit-refusals", "/audit prod --outcome refused", "Audit prod", "approver")
        scene.keeps("home-operator", await scene.home("operator", "What happened"))
        scene.keeps("home-approver", await scene.home("approver", "What happened"))
        scene.keeps("home-viewer", await scene.home("viewer", "What happened"))
        await terminal(
            scene.kept, LEDGER, now=scene.now, tidied=without_shown, HVOPS_SETTINGS=str(scene.estate.settings_path)
        )
        await scene.clicks(scene.slack.person("operator").home, "Check Writers…")
        scene.keeps("home-modal", await scene.slack.person("operator").sees_view("Cluster or host"))


async def test_patch_drift(play):
    async with play("patch-drift") as scene:
        answer = await scene.asks("verify-kb-drift", "/verify-kb-drift prod", "1 known issue")
        await scene.has_sent("verify-kb-drift", answer, "Send CSV", "verify-kb-drift-prod.csv")
        one = await scene.asks("verify-kb-drift-one-kb", "/verify-kb-drift prod 2570791", "KB2570791")
        await scene.opens_evidence("verify-kb-drift-one-kb", one)
        await scene.asks("no-plan-drain-2008", "/drain-node hv03", "has no drain")
        await scene.asks("no-plan-resume-2008", "/resume-node hv03", "does not show whether guests come back")
        node = scene.estate.world.node("hv03")
        kept = [one for one in node.updates if one.kb != "KB2636573"]
        await scene.world(lambda: setattr(node, "updates", kept))
        await scene.asks("verify-kb-drift-second-trap", "/verify-kb-drift prod", "2 known issues")


async def test_remote_browsing(play):
    async with play("remote-browsing") as scene:
        await scene.says("/fix-remote-browsing hv02")
        plan = await scene.sees("*T-1* · requested by", channel="hv-ops")
        scene.keeps("proposed", plan)
        await scene.clicks(plan, "Approve", "approver")
        waits = await scene.card("T-1 is waiting for a manual step")
        scene.keeps("waits-for-a-person", waits)
        await scene.act("Reopen the Wizard and Browse hv02")
        await scene.until_world("hv02 wizard", "files are listed")
        await scene.clicks(waits, "Done")
        done = await scene.card("Done: Fix remote browsing")
        await scene.ended("T-1", "Done")
        scene.keeps("done", done)
        scene.keeps_thread("done-thread", done)

        await scene.says("/fix-remote-browsing hv05")
        plan = await scene.sees("*T-2* · requested by", channel="hv-ops")
        await scene.clicks(plan, "Approve", "approver")
        waits = await scene.card("T-2 is waiting for a manual step")
        await scene.clicks(waits, "Stop After Step")
        stopped = await scene.card("Stopped at step 6: Fix remote browsing")
        await scene.ended("T-2", "Stopped")
        scene.keeps("stopped", stopped)
        scene.keeps_thread("stopped-thread", stopped)


async def test_missing_vm(play):
    async with play("missing-vm") as scene:
        answer = await scene.asks("find-missing-vms", "/find-missing-vms vmm", "crm-01 is missing in VMM")
        await scene.opens_evidence("find-missing-vms", answer)
        await scene.clicks(answer, "Refresh in VMM…")
        plan = await scene.sees("*T-1* · requested by", channel="hv-ops")
        scene.keeps("refresh-proposed", plan)
        await scene.clicks(plan, "Withdraw")
        await scene.ended("T-1", "Withdrawn")
        await scene.says("/fix-missing-vm crm-01 --by migration")
        plan = await scene.sees("*T-2* · requested by", channel="hv-ops")
        scene.keeps("migration-proposed", plan)
        await scene.clicks(plan, "Withdraw")
        await scene.ended("T-2", "Withdrawn")

        await scene.clicks(answer, "Change the Database…")
        plan = await scene.sees("*T-3* · requested by", channel="hv-ops")
        scene.keeps("database-proposed", plan)
        await scene.clicks(plan, "Approve", "approver")
        waits = await scene.card("T-3 is waiting for a manual step: Refresh the virtual machine")
        scene.keeps("database-waits-for-a-person", waits)
        await scene.act("Refresh in VMM")
        await scene.clicks(waits, "Done")
        done = await scene.card("Done: Fix missing VM crm-01")
        await scene.ended("T-3", "Done")
        scene.keeps("database-done", done)
        scene.keeps_thread("database-done-thread", done)
        await scene.asks("find-missing-vms-mended", "/find-missing-vms vmm", "VMM and hosts agree")

        await scene.clicks(done, "Undo…")
        undo = await scene.sees("*T-4* · requested by", channel="hv-ops")
        scene.keeps("undo-proposed", undo)
        await scene.clicks(undo, "Approve", "approver")
        done = await scene.card("Done: Undo T-3")
        await scene.ended("T-4", "Done")
        scene.keeps("undo-done", done)
        scene.keeps_thread("undo-done-thread", done)

        await scene.says("/fix-missing-vm crm-01 --by database")
        plan = await scene.sees("*T-5* · requested by", channel="hv-ops")
        world, vmm = scene.estate.world, scene.estate.world.vmm
        await scene.world(lambda: vmm.lose(world.guest("crm-01"), world.node("hv05"), "another migration"))
        await scene.clicks(plan, "Approve", "approver")
        void = await scene.card("Void, the plan changed")
        await scene.ended("T-5", "Void")
        scene.keeps("void", void)
        scene.keeps_thread("void-thread", void)


async def test_stuck_writer(play):
    async with play("stuck-writer") as scene:
        stuck = await scene.asks("check-writers-prod", "/check-writers prod", "LOOKS STUCK on hv03")
        one = await scene.asks("check-writers-hv03", "/check-writers hv03", "LOOKS STUCK on hv03")
        await scene.opens_evidence("check-writers-hv03", one)
        await scene.clicks(stuck, "Share")
        shared = await scene.sees("LOOKS STUCK on hv03", "viewer", "hv-ops")
        scene.keeps("check-writers-prod-shared", shared)
        await scene.clicks(stuck, "Find Full Guests")
        full = await scene.sees("test-tfs-01 has 0 MB free on C:")
        scene.keeps("find-full-guests", full)
        await scene.has_sent("find-full-guests", full, "Send CSV", "find-full-guests-prod.csv")
        one = await scene.asks("find-full-guests-hv03", "/find-full-guests hv03", "test-tfs-01 has 0 MB free on C:")
        await scene.opens_evidence("find-full-guests-hv03", one)
        held = await scene.asks("no-plan-reset-locked", "/reset-writer hv03", "No plan yet for hv03: 9 of 11")
        await scene.asks("no-plan-drain-locked", "/drain-node hv03", "No plan yet for hv03: 9 of 11")
        await scene.asks("no-plan-resume-backup-full", "/resume-backup 48211", "No plan yet for job 48211")
        scene.passes(130)
        await scene.asks("check-writers-hv03-two-minutes-later", "/check-writers hv03", "STUCK on hv03")

        await scene.act("Free 2 GB on test-tfs-01 C:")
        await scene.clicks(held, "Check Again")
        freed = await scene.sees("Every guest that answered has room")
        scene.keeps("no-plan-reset-room", freed)
        await scene.clicks(freed, "Resume Backup…")
        plan = await scene.sees("Resume backup 48211?", channel="hv-ops")
        scene.keeps("resume-backup-proposed", plan)
        await scene.clicks(plan, "Confirm", "approver")
        scene.keeps("resume-backup-refused-confirm", await scene.sees("can confirm it", "approver"))
        await scene.clicks(plan, "Confirm")
        done = await scene.card("Done: Resume backup 48211")
        await scene.ended("T-1", "Done")
        scene.keeps("resume-backup-done", done)
        scene.keeps_thread("resume-backup-done-thread", done)
        await scene.until_world("hv03 writer", "[1] no error")
        await scene.clicks(done, "Check Writers")
        scene.keeps("check-writers-recovered", await scene.sees("Hyper-V writer RECOVERED"))
        await scene.asks("no-plan-job-is-over", "/resume-backup 48211", "only you see this")


async def test_stuck_writer_job_dead(play):
    async with play("stuck-writer-job-dead") as scene:
        stuck = await scene.asks("check-writers", "/check-writers hv03", "LOOKS STUCK on hv03")
        await scene.clicks(stuck, "Reset Writer…")
        plan = await scene.sees("Reset writer on hv03?", channel="hv-ops")
        scene.keeps("proposed", plan)
        await scene.clicks(plan, "Approve", "approver")
        waits = await scene.slack.person("viewer").sees(re.compile("(?s)Approved.*Waiting:.* Microsoft Hyper-V VSS"))
        scene.keeps("approved-not-yet", waits)
        await scene.act("Let vmms of hv03 hang when it is stopped")
        scene.passes(130)
        await scene.until_world("hv03 vmms", "stop pending")
        scene.keeps("running", await scene.card(r"T-1 runs, step 2 of 6.* until the service vmms is stopped"))
        scene.passes(20 * 60)
        stopped = await scene.card("Interrupted at step 2: someone must decide")
        await scene.slack.person("viewer").sees("*T-1 is interrupted: someone must decide.*", "hv-ops")
        scene.keeps("interrupted", stopped)
        scene.keeps_thread("interrupted-thread", stopped)
        await scene.asks("runs-interrupted", "/hvops runs", "1 open ticket")
        scene.keeps("home-approver-interrupted", await scene.home("approver", "needs attention"))
        await scene.clicks(stopped, "Check Again", "approver")
        await scene.sees("Step 2, Stop the service vmms on hv03: not done", "approver", "hv-ops")
        await scene.clicks(stopped, "Close…", "approver")
        window = await scene.slack.person("approver").sees_view("Why?")
        scene.keeps("close-modal", window)
        await scene.slack.person("approver").closes(window)
        await scene.clicks(stopped, "Undo…")
        undo = await scene.sees("Undo T-1", channel="hv-ops")
        scene.keeps("undo-proposed", undo)
        await scene.clicks(undo, "Withdraw")
        await scene.ended("T-2", "Withdrawn")
        await scene.act("End the process of vmms on hv03")
        await scene.clicks(stopped, "Go On…", "approver")
        done = await scene.card("Done: Reset writer on hv03")
        await scene.ended("T-1", "Done")
        scene.keeps("done", done)
        scene.keeps_thread("done-thread", done)
        await scene.clicks(done, "Check Writers")
        scene.keeps("check-writers-recovered", await scene.sees("Hyper-V writer RECOVERED"))
        await scene.slack.person("viewer").sees("T-1 done", "hv-audit")
        audit = [one for one in scene.slack.person("viewer").messages("hv-audit") if "Ledger head" not in one.text]
        scene.kept.text("audit-channel.txt", "\n".join(one.text for one in audit))


async def test_boot_layout(play):
    async with play("boot-layout") as scene:
        await scene.asks("check-boot-layout", "/check-boot-layout prod", "BIOS mode")
        await scene.asks("check-boot-layout-one-host", "/check-boot-layout hv05", "BIOS mode")
        await scene.asks("no-plan-redeploy-a-node", "/redeploy-uefi hv05", "still a cluster node")


async def test_redeploy_uefi(play):
    async with play("redeploy-uefi") as scene:
        await scene.asks("no-plan-uefi-already", "/redeploy-uefi hv01", "Nothing to redeploy")
        await scene.asks("redeploy-uefi", "/redeploy-uefi hv05", "T-1")


async def test_clock_skew(play):
    async with play("clock-skew") as scene:
        await scene.asks("check-time-skew", "/check-time-skew prod", "ahead of")
        await scene.asks("check-time-skew-one-host", "/check-time-skew hv04", "ahead of the bot")


async def test_continuity(play):
    async with play("continuity") as scene:
        await scene.asks("check-continuity", "/check-continuity crm", "broken")
        await scene.asks("check-continuity-cluster", "/check-continuity prod", "broken")


async def test_a_drill(play):
    async with play("drill") as scene:
        await scene.says("/drill crm")
        scene.keeps("proposed", await scene.sees("*T-1* · requested by", channel="hv-ops"))


async def test_updates_that_differ(play):
    async with play("kb-drift-fix") as scene:
        await scene.says("/fix-kb-drift prod blocked-hotfix")
        scene.keeps("proposed", await scene.sees("*T-1* · requested by", channel="hv-ops"))


async def test_old_integration(play):
    async with play("old-integration") as scene:
        await scene.asks("check-integration-services", "/check-integration-services prod", "more guests with findings")
        await scene.asks("check-integration-services-one-host", "/check-integration-services hv02", "hv02: ")
        await scene.asks("check-integration-services-branch", "/check-integration-services branch", "work on 54 guests")


async def test_storvsc_stop(play):
    async with play("storvsc-stop") as scene:
        await scene.asks("check-storvsc-risk", "/check-storvsc-risk prod", "stopped with 0xD1")
        await scene.asks("check-storvsc-risk-other-windows", "/check-storvsc-risk branch", "does not apply")


async def test_a_health_check_that_asks_wrongly(play):
    name = "ntrip.surveyor.example"
    async with play("host-header-check") as scene:
        await scene.asks("check-virtual-service-all", "/check-virtual-service lm01", "wrong health check, 2 down")
        answer = await scene.asks(
            "check-virtual-service",
            f"/check-virtual-service lm01 ntrip --host {name}",
            "2 real servers marked down by the wrong",
        )
        await scene.opens_evidence("check-virtual-service", answer)
        await scene.asks("check-load-balancer", "/check-load-balancer lm01", "answers, firmware")
        await scene.clicks(answer, "Fix Health Check…")
        plan = await scene.sees("*T-1* · requested by", channel="hv-ops")
        scene.keeps("fix-health-check-proposed", plan)
        await scene.clicks(plan, "Withdraw")
        await scene.ended("T-1", "Withdrawn")
        await scene.says(f"/fix-health-check lm01 ntrip --host {name},www.surveyor.example")
        scene.keeps("fix-health-check-by-hand", await scene.sees("*T-2* · requested by", channel="hv-ops"))


async def test_redirect_loop(play):
    async with play("redirect-loop") as scene:
        await scene.asks("check-redirects", "/check-redirects http://www.surveyors.example/", "the path grows")
        await scene.asks("check-redirects-tls", "/check-redirects https://shop.surveyors.example/", "https to the same")
        await scene.asks("check-redirects-fine", "/check-redirects http://intra.surveyors.example/", "one redirect")
