"""A practice SQL Server on a thread, and both drivers to it: FreeTDS and Microsoft's own."""

import importlib.util
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pyodbc
import pytest

from lab.sqlserver import Column, Database, Instance, Login, SqlServer, Table
from lab.sqlserver.background import BackgroundSqlServer
from lab.sqlserver.store import READ_ONLY, READ_WRITE
from lab.sqlserver.types import BIGINT, BIT, DATETIME, GUID, INT, MAX, nvarchar, varbinary
from lab.windows import CertificateAuthority

pyodbc.pooling = False
DATABASE = "VirtualManagerDB"
IDS = [uuid.UUID(int=number) for number in range(1, 6)]
COLUMNS = (
    Column("HostID", GUID, nullable=False),
    Column("ComputerName", nvarchar(64)),
    Column("HostState", INT, nullable=False),
    Column("Memory", BIGINT),
    Column("IsDedicated", BIT),
    Column("Added", DATETIME),
    Column("Fingerprint", varbinary(20)),
    Column("Notes", nvarchar(MAX)),
)


def microsoft_driver() -> str:
    """Where the wheel keeps the driver. A test without it would prove half, so it fails and says what to do."""
    found = importlib.util.find_spec("mssql_python_odbc")
    assert found is not None, "Microsoft's driver is missing: pip install --group dev"
    folder = Path(found.submodule_search_locations[0])
    return str(next((folder / "libs" / "linux" / "debian_ubuntu").glob("*/lib/libmsodbcsql-*.so*")))


DRIVERS = {"freetds": "FreeTDS", "microsoft": microsoft_driver()}


def instance() -> Instance:
    made = Instance("sql01")
    database = made.add(Database(DATABASE))
    hosts = database.add(Table("tbl_ADHC_Host", COLUMNS, "HostID"))
    for number, host in enumerate(IDS, start=1):
        hosts.insert(
            HostID=host,
            ComputerName=f"hv0{number}.corp.example",
            HostState=2,
            Memory=2**40 + number,
            IsDedicated=number % 2,
            Added=datetime(2026, 1, number, 3, 4, 5, 670_000),  # noqa: DTZ001 - as SQL keeps it
            Fingerprint=bytes([number, 0]),
            Notes="ü" * 9000 if number == 1 else None,
        )
    vms = (Column("ObjectId", GUID, nullable=False), Column("Name", nvarchar(256)), Column("HostId", GUID))
    objects = database.add(Table("tbl_WLC_VObject", vms, "ObjectId"))
    objects.insert(ObjectId=uuid.UUID(int=100), Name="file-01", HostId=IDS[0])
    objects.insert(ObjectId=uuid.UUID(int=101), Name="template", HostId=None)
    backups = made.add(Database("msdb")).add(Table("backupset", (Column("database_name", nvarchar(128)),)))
    backups.insert(database_name=DATABASE)
    made.add_login(Login("operator", "p{w d;=ü", {DATABASE: READ_WRITE, "msdb": READ_ONLY}))
    made.add_login(Login("reader", "secret", {DATABASE: READ_ONLY}))
    return made


class Lab:
    """The server, and ways to connect to it."""

    def __init__(self, background: BackgroundSqlServer) -> None:
        self.background = background
        self.server = background.server

    def string(self, driver: str, *, encrypt: bool = False, **over: str) -> str:
        address = {
            "freetds": {
                "SERVER": "127.0.0.1",
                "PORT": str(self.server.port),
                "TDS_Version": "7.4",
                "Encryption": "require" if encrypt else "off",
            },
            "microsoft": {
                "SERVER": f"127.0.0.1,{self.server.port}",
                "Encrypt": "yes" if encrypt else "no",
                "TrustServerCertificate": "yes",
            },
        }[driver]
        told = {"DRIVER": DRIVERS[driver], **address, "UID": "operator", "PWD": "{p{w d;=ü}", "DATABASE": DATABASE}
        return "".join(f"{key}={value};" for key, value in (told | over).items())

    def connect(self, driver: str, *, autocommit: bool = False, seconds: int = 20, encrypt: bool = False, **over: str):
        return pyodbc.connect(self.string(driver, encrypt=encrypt, **over), timeout=seconds, autocommit=autocommit)

    def host(self, number: int) -> dict:
        """A row of the table as it is, committed or not."""
        table = self.server.instance.databases[DATABASE.lower()].table("tbl_ADHC_Host")
        return self.background.do(lambda: table.read(next(table.find(HostID=IDS[number]))))


@pytest.fixture(scope="session")
def certificate():
    return CertificateAuthority().server_context("sql01.corp.example", "127.0.0.1")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with BackgroundSqlServer(SqlServer(instance())) as background:
        yield Lab(background)


@pytest.fixture(params=["none", "login", "full"])
def any_lab(request, certificate) -> Iterator[Lab]:
    with BackgroundSqlServer(SqlServer(instance(), encryption=request.param, tls=certificate)) as background:
        yield Lab(background)


@pytest.fixture(params=list(DRIVERS))
def driver(request) -> str:
    return request.param


@pytest.fixture
def connection(lab, driver):
    with closing(lab.connect(driver)) as connection:
        yield connection


@pytest.fixture
def ids() -> list[uuid.UUID]:
    return IDS
