"""VMM's database of the practice world on a real wire, and the bot's way to it through both drivers."""

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyodbc
import pytest

from bot.api.actions import RowTransaction, Update
from bot.api.queries import make_params
from bot.config.inventory_file import InventoryFile
from bot.transport.sql.connection_string import DatabaseLogin, connection_string
from bot.transport.sql.databases import Databases
from lab.sqlserver import SqlServer
from lab.sqlserver.background import BackgroundSqlServer
from lab.windows import CertificateAuthority
from lab.world.factory import make
from lab.world.vmm import MISSING, host_id, object_id

PASSWORD = "p{w d=ü}"


def microsoft_driver() -> str:
    found = importlib.util.find_spec("mssql_python_odbc")
    assert found is not None, "Microsoft's driver is missing: pip install --group dev"
    folder = Path(found.submodule_search_locations[0])
    return str(next((folder / "libs" / "linux" / "debian_ubuntu").glob("*/lib/libmsodbcsql-*.so*")))


DRIVERS = {"freetds": "FreeTDS", "microsoft": microsoft_driver()}


def estate(**over) -> InventoryFile:
    return InventoryFile.model_validate(
        {"clusters": {"prod": {"domain": "corp.example", "entry_hosts": ["hv01"]}}} | over
    )


class Place:
    """A world with VMM, its SQL Server, and the bot's way there."""

    def __init__(self, background: BackgroundSqlServer, world, driver: str) -> None:
        self.background = background
        self.server = background.server
        self.world = world
        self.vmm = world.vmm
        self.driver = driver
        self.guest = world.guest("crm-01")
        self.made: list[Databases] = []

    def databases(self, password: str = PASSWORD, **over) -> Databases:
        told = {
            "server": "127.0.0.1",
            "port": self.server.port,
            "driver": self.driver,
            "trust_certificate": True,
        } | over
        made = Databases(estate(vmm={"VMM": told}).vmm, DatabaseLogin("sql", "hvops", password))
        self.made.append(made)
        return made

    def somebody_else(self):
        """Another connection to the same database."""
        databases = self.databases()
        return closing(pyodbc.connect(connection_string(databases._servers["vmm"], databases._login, []), timeout=20))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what happens in the server's thread, which cannot tell."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)

    async def asked(self, text: str) -> None:
        """Wait until a statement with this text has arrived."""
        await self.until(lambda: any(text in one for one in self.server.statements))

    async def settled(self) -> None:
        """Wait until the server has seen everybody go, and rolled back what they left."""
        await self.until(lambda: not self.server.connections)

    def record(self) -> dict:
        """The guest's row as it is, committed or not."""
        return self.background.do(lambda: self.vmm.objects.read(self.vmm.record(self.guest)))

    def fix(self, **over) -> RowTransaction:
        """What mends the guest's record."""
        was = {"HostId": str(host_id(self.world.node("hv04"))), "ObjectState": MISSING}
        becomes = {"HostId": str(host_id(self.guest.node)), "ObjectState": 0}
        told = {"table": "tbl_WLC_VObject", "key": make_params(ObjectId=str(object_id(self.guest)))}
        told |= {"was": make_params(**was), "becomes": make_params(**becomes)} | over
        return RowTransaction("vmm", "vmm", (Update(**told),))


@pytest.fixture
def made_estate() -> Callable[..., InventoryFile]:
    return estate


@pytest.fixture(scope="session")
def certificate():
    return CertificateAuthority().server_context("127.0.0.1")


@pytest.fixture(params=list(DRIVERS))
def place(request, certificate) -> Iterator[Place]:
    world = make()
    guest = world.guest("crm-01")
    guest.node = world.node("hv06")
    world.vmm.refresh()
    world.vmm.lose(guest, world.node("hv04"), "test")
    world.vmm.add_login("hvops", PASSWORD)
    with BackgroundSqlServer(SqlServer(world.vmm.instance, encryption="full", tls=certificate)) as background:
        made = Place(background, world, DRIVERS[request.param])
        yield made
        for databases in made.made:
            databases.close()
