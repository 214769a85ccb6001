"""python-kemptech-api, which Kemp publishes, over loopback and TLS: it lists, shows, changes and adds.

It is not among what `make setup` installs: the setup.py of its newest version (0.7.43, 2020) imports pip.req, which pip has
not had since version 20. `python -m venv v && v/bin/pip install pip==19.3.1 requests xmltodict netaddr lxml six` and then
`v/bin/pip install --no-deps --no-build-isolation --no-use-pep517 python-kemptech-api==0.7.43` brings it in; PYTHONPATH leads here.
"""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from lab.loadmaster import FakeLoadMaster
from lab.windows import CertificateAuthority

from .conftest import OPERATOR

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # the client verifies no certificate
kemp = pytest.importorskip("python_kemptech_api", reason="python-kemptech-api cannot be installed by today's pip")


@pytest.fixture
async def client(appliance, clock):
    """The client, which knows https only, and runs on a thread: the load balancer lives in this loop."""
    tls = CertificateAuthority().server_context("127.0.0.1")
    async with FakeLoadMaster(appliance, clock, (OPERATOR,), tls=tls) as lm:
        port = int(lm.url.rpartition(":")[2])
        yield kemp.LoadMaster("127.0.0.1", OPERATOR.user, OPERATOR.password, port)


async def call(work, *arguments, **named):
    return await asyncio.to_thread(partial(work, *arguments, **named))


async def test_it_reads_the_version(client, appliance):
    assert await call(client.get_parameter, "version") == appliance.version


async def test_it_lists_and_changes_a_service(client, appliance):
    service = appliance.add("10.1.0.20", 80, NickName="web")
    (found,) = await call(client.get_virtual_services)
    assert (found.index, found.nickname, found.status, found.checkuse1_1) == ("1", "web", "Down", "N")
    found.checkuse1_1 = "Y"
    found.checkurl = "/health"
    await call(found.update)
    assert (service.get("CheckUse1.1"), service.get("CheckUrl")) == ("Y", "/health")
    assert service.get("Persist") == ""  # it leaves PersistTimeout out by itself where nothing persists


async def test_it_adds_a_service_with_a_real_server(client, appliance, web):
    address, port, _ = await web(lambda line, host: 200)
    service = client.create_virtual_service("10.1.0.30", 80)
    await call(service.save)
    server = service.create_real_server(address, port)
    await call(server.save)
    assert server.status == "Up"
    await call(service.refresh)
    assert service.status == "Up"


async def test_it_makes_a_sub_service(client, appliance):
    appliance.add("10.1.0.20", 80)
    (service,) = await call(client.get_virtual_services)
    part = service.create_sub_virtual_service()
    await call(part.save)
    assert [one.master for one in appliance.services.values()] == [0, 1]
    assert part.index == "2"


async def test_a_wrong_password(client):
    client.password = "wrong"
    client.auth = (client.username, "wrong")
    with pytest.raises(Exception, match="authorized access"):
        await call(client.get_virtual_services)
