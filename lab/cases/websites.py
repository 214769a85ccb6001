"""Put the web servers of a case into a world."""

from __future__ import annotations

from dataclasses import replace

from lab.cases.errors import CaseError
from lab.cases.schema import CaseFile, Website
from lab.websites.model import Binding, Front, HttpRedirect, Page, Site, WebServer
from lab.world.world import World


def apply(case: CaseFile, world: World) -> None:
    """Add sites to their servers, and the devices before them. Raises CaseError."""
    servers = {one.address: one for one in world.web_servers}
    for at, told in enumerate(case.websites):
        server = servers.get(told.server)
        if server is None:
            server = servers[told.server] = WebServer(f"web{len(servers) + 1:02d}", told.server, version=told.version)
            world.web_servers.append(server)
        server.sites.append(_site(told, f"websites[{at}]"))
    for at, device in enumerate(case.offload):
        address, _, port = device.to.rpartition(":")
        if address not in servers:
            raise CaseError(f"offload[{at}].to", f"no website is at {address}.")
        world.fronts.append(Front(device.address, tuple(device.names), (address, int(port))))


def _site(told: Website, key: str) -> Site:
    pages = {
        path: Page(page) if isinstance(page, int) else Page(page.status, tuple(page.methods), tuple(page.headers))
        for path, page in told.pages.items()
    }
    redirects = {
        path: HttpRedirect(one.destination, one.enabled, one.exact_destination, one.child_only, one.status)
        for path, one in told.redirects.items()
    }
    try:
        bindings = [
            replace(Binding.read(text, sni=told.sni), certificate=tuple(told.certificate), expired=told.expired)
            for text in told.bindings
        ]
    except ValueError as error:
        raise CaseError(f"{key}.bindings", f"{error}.") from None
    return Site(
        told.server,
        bindings,
        redirects,
        pages,
        told.requires_https,
        told.sets_cookie,
        told.login_page,
        tuple(told.anonymous),
        running=told.running,
    )
