"""A health check by HTTP/1.0 finds every real server down, since each serves two names; another check asks by HEAD."""

from __future__ import annotations

from lab.loadmaster.model import Appliance
from lab.tour import Step
from lab.websites.model import Binding, Page, Site, WebServer
from lab.world.world import Action, World

BALANCER, NTRIP, WWW = "lm01", "ntrip.surveyor.example", "www.surveyor.example"
SERVERS = {"web01": "10.1.0.51", "web02": "10.1.0.52"}

TOUR = (
    Step(
        "ask",
        f"No one reaches {NTRIP} through the load balancer now.",
        "Ask whether its real servers are down: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"wrong health check"),
        f"/check-virtual-service {BALANCER} ntrip --host {NTRIP}",
    ),
    Step(
        "fix",
        "They answer that name, and the check does not ask for it.",
        "Press Fix Health Check…, and let someone else approve it.",
        lambda seen: seen.answered(r"^Done: Fix health check of ntrip"),
        f"/fix-health-check {BALANCER} ntrip --host {NTRIP}",
        press=("Message › Fix Health Check…", "Act as › Approver", "Message › Approve"),
    ),
)


def begin(world: World) -> None:
    """Set up two web servers with two names each, and a load balancer that checks them as nobody has changed it."""
    for name, address in SERVERS.items():
        sites = [
            Site("ntrip", [_http(address, NTRIP)]),
            Site("www", [_http(address, WWW)]),
            Site("api", [_http(address, "api.surveyor.example", 8080)], pages={"/health": Page(methods=("GET",))}),
        ]
        world.web_servers.append(WebServer(name, address, sites, version="7.5"))
    appliance = Appliance()
    world.load_balancers[BALANCER] = appliance
    ntrip = appliance.add("10.1.0.30", 80, NickName="ntrip")
    api = appliance.add(
        "10.1.0.30", 8080, NickName="api", CheckUse1__1="Y", CheckHost="api.surveyor.example", CheckUrl="/health"
    )
    to_https = "https://%h%s"
    appliance.add(
        "10.1.0.31", 80, NickName="mail - HTTP Redirect", CheckType="none", ErrorCode="301", ErrorUrl=to_https
    )
    for address in SERVERS.values():
        appliance.add_server(ntrip, address, 80)
        appliance.add_server(api, address, 8080)
    world.prefilled = f"/check-virtual-service {BALANCER} ntrip --host {NTRIP}"

    def stop_one() -> None:
        for site in world.web_servers[-1].sites:
            site.running = False

    world.set_alert(
        f"A user reports: {NTRIP} does not answer since host names were added to the bindings of its web servers.",
        lambda: [(f"{BALANCER} {one.get('NickName')}", appliance.status(one)) for one in (ntrip, api)],
        [Action("stop", "Stop the sites of web02", stop_one, lambda: world.web_servers[-1].sites[0].running)],
    )


def _http(address: str, host: str, port: int = 80) -> Binding:
    return Binding.read(f"http/{address}:{port}:{host}")
