"""Put the load balancers of a case into a world."""

from __future__ import annotations

from lab.cases.errors import CaseError
from lab.cases.schema import CaseFile, VirtualService
from lab.loadmaster.model import FIELDS, Appliance, Refused
from lab.loadmaster.model import VirtualService as Service
from lab.world.world import World


def apply(case: CaseFile, world: World) -> None:
    """Add virtual services to their load balancers, in the order of the file. Raises CaseError."""
    for name, told in case.load_balancers.items():
        appliance = world.load_balancers.setdefault(name, Appliance())
        appliance.version, appliance.api = told.firmware, told.api
        appliance.shows_subs, appliance.checks = told.shows_subs, told.checks
    for at, service in enumerate(case.virtual_services):
        _add(world.load_balancers.setdefault(service.balancer, Appliance()), service, f"virtual_services[{at}]")


def _add(appliance: Appliance, told: VirtualService, key: str) -> None:
    master = _index(appliance, told.part_of, key) if told.part_of else 0
    address, port = ("", 0) if master else (told.address, told.port)
    made = appliance.add(address, port, master=master)
    made.enabled = told.enabled
    for name, value in {"NickName": told.name, **told.fields}.items():
        _set(made, name, value, f"{key}.fields.{name}")
    for place in told.servers:
        host, _, number = place.rpartition(":")
        server = appliance.add_server(made, host, int(number))
        server.up = told.up


def _index(appliance: Appliance, name: str, key: str) -> int:
    for one in appliance.services.values():
        if one.get("NickName") == name:
            return one.index
    raise CaseError(f"{key}.part_of", f"there is no virtual service {name} before this one.")


def _set(made: Service, name: str, value: str, key: str) -> None:
    if name.casefold() not in FIELDS:
        raise CaseError(key, f"there is no such field; there are {', '.join(FIELDS.values())}.")
    try:
        made.set(name, value)
    except Refused as refused:
        raise CaseError(key, f"{refused}.") from None
