"""The CRM is reported to be ready for a disaster: one guest replicates, one has stopped, and nobody has tried for 200 days."""

from __future__ import annotations

from datetime import timedelta

from lab.tour import Step
from lab.world.executables.findstr import HOSTS, SAMPLE_HOSTS
from lab.world.model import Guest
from lab.world.replication import replicate
from lab.world.world import World

SERVICE, GOOD, STOPPED = "crm", "crm-01", "crm-02"
RECOVERY = {GOOD: "br01", STOPPED: "br02"}

TOUR = (
    Step(
        "ask",
        "The auditors want to know whether the CRM survives the loss of prod.",
        "Ask what of it is proved: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"broken"),
        f"/check-continuity {SERVICE}",
    ),
)

FOLDER = "C:\\inetpub\\crm"
_WEB_CONFIG = """<configuration>
  <connectionStrings>
    <add name="crm" connectionString="Server=10.20.0.15;Database=crm;User Id=crm;Password=correct-horse" />
  </connectionStrings>
  <bindingRedirect oldVersion="0.0.0.0-4.1.0.0" newVersion="4.1.0.0" />
</configuration>
"""


def begin(world: World) -> None:
    """Replicate two guests of prod to branch; one replica is critical, the other was tested long ago."""
    good, stopped = (world.guest(name) for name in (GOOD, STOPPED))
    copy = replicate(good, world.node(RECOVERY[GOOD]), last=world.now - timedelta(minutes=3))
    assert copy.replication is not None
    copy.replication.tested = world.now - timedelta(days=200)
    other = replicate(stopped, world.node(RECOVERY[STOPPED]), last=world.now - timedelta(days=4, hours=2))
    for end in (stopped, other):
        assert end.replication is not None
        end.replication.state, end.replication.health, end.replication.cycles = 8, 3, 0
    good.text_files = {
        HOSTS: f"{SAMPLE_HOSTS}10.20.0.15\tsql-prod.corp.example sql-prod # moved 2019\n#10.20.0.16 pay.corp.example\n",
        f"{FOLDER}\\web.config": _WEB_CONFIG,
        f"{FOLDER}\\bin\\crm.ini": "; server=10.20.0.16\nlisten=127.0.0.1\nversion=4.2.0.1\n",
    }
    world.link_delay = 12
    world.inventory = inventory()
    world.prefilled = f"/check-continuity {SERVICE}"
    world.set_alert(
        "The auditors ask: is the CRM back within four hours if prod is lost, with at most 15 minutes of work gone?",
        lambda: _facts(good, stopped),
        [],
    )


def inventory() -> dict[str, object]:
    """The service as the inventory has it, with what people assume."""
    return {
        "site.antwerp": {"members": ["prod", "fs01", "lab-dc-01"]},
        "site.ghent": {"members": ["branch", "branch-dc-01"]},
        f"service.{SERVICE}": {
            "places": ["prod", "branch"],
            "guests": [GOOD, STOPPED],
            "rto_minutes": 240,
            "rpo_minutes": 15,
        },
        f"[service.{SERVICE}.assumption]": [
            _assumption("The application server replicates to branch", "replication", GOOD),
            _assumption("The database replicates to branch", "replication", STOPPED),
            _assumption("A failover of the application server was tried", "test-failover", GOOD, max_age_days=180),
            _assumption("The database failover has been tested", "test-failover", STOPPED, max_age_days=180),
            _assumption("prod survives the loss of one node", "votes", "prod"),
            _assumption("No name is pinned in a hosts file", "hosts-file", GOOD),
            _assumption("No configuration file names an address", "addresses", GOOD, folders=[FOLDER]),
            _assumption("The link carries the replication", "link", "prod", to="branch", max_milliseconds=20),
            _assumption("Each site has a domain controller", "single-point", "lab-dc-01", others=["branch-dc-01"]),
            _assumption("Someone is on call", "on-call", "S0ONCALL"),
            _assumption(
                "The licence server runs in both sites",
                "statement",
                "lic01",
                proof="minutes of the licence audit",
                max_age_days=365,
            ),
        ],
    }


def _assumption(says: str, kind: str, target: str, **more: object) -> dict[str, object]:
    return {"says": says, "kind": kind, "target": target, "owner": "CRM team", **more}


def _facts(good: Guest, stopped: Guest) -> list[tuple[str, str]]:
    words = {1: "replicates", 3: "critical"}
    return [(one.name, words[one.replication.health]) for one in (good, stopped) if one.replication]
