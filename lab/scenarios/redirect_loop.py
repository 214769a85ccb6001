"""A site redirects without http:// before its destination, so browsers go round in circles; three more do so for other reasons."""

from __future__ import annotations

from lab.tour import Step
from lab.websites.model import Binding, Front, HttpRedirect, Page, Site, WebServer
from lab.world.world import Action, World

SITE, BUSINESS = "www.surveyors.example", "www.business.example"
DESTINATION = f"{BUSINESS}/surveyors/services"
ADDRESS, DEVICE = "10.1.0.71", "10.1.0.20"

TOUR = (
    Step(
        "ask",
        f"{SITE} shows no page: too many redirects.",
        "Follow its redirects: the line is ready below, press Enter.",
        lambda seen: seen.answered(r"the path grows"),
        f"/check-redirects http://{SITE}/",
    ),
    Step(
        "fix",
        "The destination has no http://, so it is taken for a path.",
        "Press Write http:// before the destination in World, then check again.",
        lambda seen: seen.answered(r"one redirect, ends at"),
        f"/check-redirects http://{SITE}/",
        press=("World › Write http:// before the destination",),
    ),
    Step(
        "offload",
        "shop.surveyors.example goes in circles as well, at one address.",
        "Ask for that one, too: something before the server ends TLS.",
        lambda seen: seen.answered(r"https to the same"),
        "/check-redirects https://shop.surveyors.example/",
    ),
)


def begin(world: World) -> None:
    """Set up two web servers, one of them behind a device that ends TLS."""
    site = Site("surveyors", [_http(SITE)], {"/": HttpRedirect(DESTINATION)})
    world.web_servers += [
        WebServer("web01", ADDRESS, [site, *_others()], version="7.5"),
        WebServer("web02", "10.1.0.72", [Site("shop", [Binding.read("http/*:80:")], requires_https=True)]),
    ]
    world.fronts.append(Front(DEVICE, ("shop.surveyors.example",), ("10.1.0.72", 80)))
    world.prefilled = f"/check-redirects http://{SITE}/"

    def mend() -> None:
        site.redirects["/"] = HttpRedirect(f"http://{DESTINATION}")

    def is_broken() -> bool:
        return not site.redirects["/"].destination.startswith("http")

    def facts() -> list[tuple[str, str]]:
        return [(SITE, f"redirects to {site.redirects['/'].destination}")]

    world.set_alert(
        f"A user reports: {SITE} shows “too many redirects” since this morning.",
        facts,
        [Action("scheme", "Write http:// before the destination", mend, is_broken)],
    )


def _others() -> list[Site]:
    """The site it leads to, one whose redirect its own page inherits, and one whose leading slash is right."""
    return [
        Site("business", [_http(BUSINESS)], pages={"/surveyors/services/": Page()}),
        Site("mail", [_http("mail.surveyors.example")], {"/": HttpRedirect("/owa/")}, {"/owa/": Page()}),
        Site(
            "intranet",
            [_http("intra.surveyors.example")],
            {"/": HttpRedirect("/manual/", child_only=True)},
            {"/manual/": Page()},
        ),
    ]


def _http(host: str) -> Binding:
    return Binding.read(f"http/{ADDRESS}:80:{host}")
