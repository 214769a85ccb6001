"""The CRM replicates to branch, and nobody has ever failed it over as a whole: its drill is due."""

from __future__ import annotations

from datetime import timedelta

from lab.tour import Step
from lab.websites import Binding, Site, WebServer
from lab.world.model import Guest
from lab.world.replica_methods import keep_replicating
from lab.world.replication import replicate
from lab.world.world import Action, World

ADDRESS, NAME = "10.1.0.60", "crm.corp.example"
SERVICE, GUESTS = "crm", {"crm-01": "br01", "crm-02": "br02"}
RELEASES = {"prod": "2019", "branch": "2019"}

TOUR = (
    Step(
        "ask",
        "Nobody knows whether the CRM really comes up in branch, and how long that takes.",
        "Plan its drill: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"^Fail crm over"),
        f"/drill {SERVICE}",
    ),
    Step(
        "approve",
        "The plan names every step there and back, and who checks the service.",
        "Read it as the approver, and press Approve. Where it is waiting for a manual step, press Done.",
        lambda seen: seen.answered(r"^Done: Fail crm over"),
        press=("Act as › Approver", "Message › Approve", "Message › Done"),
    ),
    Step(
        "proved",
        "A drill that is done proves the assumption that it was about.",
        "Ask what of the CRM is proved now.",
        lambda seen: seen.answered(rf"^{SERVICE}: .*[0-9] proved"),  # which “Approved: …” is not
        f"/check-continuity {SERVICE}",
    ),
)


def begin(world: World) -> None:
    """Replicate two guests of prod to branch, a minute ago; both were failed over for a test a month ago."""
    ends = []
    for name, node in GUESTS.items():
        guest = world.guest(name)
        guest.configuration = "8.0"
        copy = replicate(guest, world.node(node), last=world.now - timedelta(minutes=1))
        assert copy.replication is not None
        copy.replication.tested = world.now - timedelta(days=30)
        ends += [guest, copy]
    for end in ends:
        keep_replicating(world, end)
    site = Site("crm", [Binding("http", ADDRESS, 80, NAME)])
    world.web_servers.append(WebServer("crm", ADDRESS, [site], version="10.0"))
    world.inventory = inventory()
    world.prefilled = f"/drill {SERVICE}"
    world.set_alert(
        "The auditors want a drill of the CRM this quarter: there and back, within its RTO of an hour.",
        lambda: _facts(ends),
        [
            Action(
                "silent",
                "Cut prod off",
                lambda: _cut_off(world, on=True),
                lambda: not world.machine("hv01").trouble.dark,
            ),
            Action(
                "back",
                "Reconnect prod",
                lambda: _cut_off(world, on=False),
                lambda: world.machine("hv01").trouble.dark,
            ),
        ],
    )


def inventory() -> dict[str, object]:
    """The service as the inventory has it, and the one assumption that a drill proves."""
    return {
        f"service.{SERVICE}": {
            "places": ["prod", "branch"],
            "guests": list(GUESTS),
            "rto_minutes": 60,
            "rpo_minutes": 15,
            "connects": [f"{NAME}:80"],
        },
        f"[service.{SERVICE}.assumption]": [
            {
                "says": "The CRM was failed over and back as a whole",
                "kind": "drill",
                "target": SERVICE,
                "owner": "CRM team",
                "max_age_days": 180,
            }
        ],
    }


def _cut_off(world: World, *, on: bool) -> None:
    for node in world.clusters["prod"].nodes:
        world.trouble(node.name, "dark", on=on)


def _facts(ends: list[Guest]) -> list[tuple[str, str]]:
    words = {1: "primary", 2: "replica"}
    return [
        (f"{one.name} on {one.node.name}", f"{words[one.replication.mode]}, {one.state}")
        for one in ends
        if one.replication
    ]
