"""What people see at a terminal: helps, answers about a practice estate, and what is refused."""

HELPS = (
    "runs",
    "stop",
    "go",
    "ask",
    "run",
    "doctor",
    "record",
    "manifest",
    "demo",
    "audit",
    "audit list",
    "audit show",
    "audit search",
)
HELPS += ("audit export", "audit rebuild", "audit verify")
ASKED = {
    "what-you-may-ask": ["ask", "--lab", "healthy", "/help"],
    "status": ["ask", "--lab", "healthy", "/hvops status"],
    "check-writers": ["ask", "--lab", "/check-writers prod"],
    "check-writers-json": ["ask", "--lab", "--json", "/check-writers hv03"],
    "check-host-access": ["ask", "--lab", "patch-drift", "/check-host-access prod"],
    "find-full-guests-silent": ["ask", "--lab", "/find-full-guests prod"],
    "verify-kb-drift": ["ask", "--lab", "patch-drift", "/verify-kb-drift prod"],
    "find-missing-vms": ["ask", "--lab", "missing-vm", "/find-missing-vms vmm"],
    "drain-node": ["ask", "--lab", "healthy", "/drain-node hv03"],
    "drain-node-json": ["ask", "--lab", "healthy", "--json", "/drain-node hv03"],
    "drill": ["ask", "--lab", "drill", "/drill crm"],
    "fix-kb-drift": ["ask", "--lab", "kb-drift-fix", "/fix-kb-drift prod blocked-hotfix"],
    "fix-missing-vm": ["ask", "--lab", "missing-vm", "/fix-missing-vm crm-01 --by database"],
    "fix-remote-browsing": ["ask", "--lab", "remote-browsing", "/fix-remote-browsing hv02"],
    "reset-writer-locked": ["ask", "--lab", "/reset-writer hv03"],
    "reset-writer": ["ask", "--lab", "stuck-writer-job-dead", "/reset-writer hv03"],
    "restart-service": ["ask", "--lab", "healthy", "/restart-service hv03 EventSystem"],
    "restart-service-off": ["ask", "--lab", "healthy", "/restart-service hv03 Spooler"],
    "restart-service-held": ["ask", "--lab", "healthy", "/restart-service hv03 vmms"],
    "resume-backup-full": ["ask", "--lab", "/resume-backup 48211"],
    "resume-node": ["ask", "--lab", "healthy", "/resume-node hv03"],
    "refused-unknown-command": ["ask", "--lab", "healthy", "/chek-writers prod"],
    "refused-unknown-host": ["ask", "--lab", "healthy", "/check-writers hv99"],
    "refused-usage": ["ask", "--lab", "healthy", "/check-writers"],
    "refused-usage-json": ["ask", "--lab", "healthy", "--json", "/check-writers"],
    "refused-no-story": ["ask", "--lab", "nowhere", "/check-writers prod"],
    "refused-decision": ["ask", "--lab", "healthy", "/approve T-1"],
    "no-settings": ["ask", "--settings", "/nowhere/settings.toml", "/check-writers prod"],
    "manifest": ["manifest"],
}


async def test_helps(kept, terminal):
    files = kept("terminal-help")
    lines = {"hvops": ["--help"]} | {help_.replace(" ", "-"): [*help_.split(), "--help"] for help_ in HELPS}
    await terminal(files, lines)


async def test_asked_at_a_terminal(kept, terminal):
    await terminal(kept("terminal"), ASKED)
