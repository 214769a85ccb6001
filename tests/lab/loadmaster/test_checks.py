"""The practice load balancer checks real servers for real, when its own clock says so."""

from __future__ import annotations

import asyncio

import pytest

from lab.loadmaster import checks


def bound_to(name):
    """IIS with one binding: without that host name http.sys answers 400 or 404."""
    return lambda line, host: 200 if host == name else 404 if host else 400


@pytest.fixture
async def service(appliance, web):
    """A service with one real server: `service, server, web = await service(answers, CheckUrl="/x")`."""

    async def make(answers, tls=None, **settings):
        address, port, there = await web(answers, tls=tls)
        found = appliance.add("10.1.0.20", 80, **settings)
        return found, appliance.add_server(found, address, port), there

    return make


async def test_the_usual_check_is_head_by_http_1_0_without_a_host(appliance, clock, service):
    made, server, there = await service(bound_to("www.shop.lab"))
    await checks.settle(appliance, clock())
    assert there.asked == [("HEAD / HTTP/1.0", "")]
    assert (server.up, appliance.status(made)) == (False, "Down")


async def test_by_http_1_1_it_asks_for_the_name(appliance, clock, service):
    made, _, there = await service(bound_to("www.shop.lab"), CheckUse1__1="Y", CheckHost="www.shop.lab")
    await checks.settle(appliance, clock())
    assert there.asked == [("HEAD / HTTP/1.1", "www.shop.lab")]
    assert appliance.status(made) == "Up"


@pytest.mark.parametrize(
    ("status", "codes", "up"),
    [
        (200, "", True), (204, "", True), (301, "", True), (302, "", True), (401, "", True), (307, "", False),
        (403, "", False), (500, "", False), (403, "403 503", True), (302, "403", False), (200, "403", True),
    ],
)  # fmt: skip
async def test_which_codes_count_as_up(service, status, codes, up):
    made, server, _ = await service(lambda line, host: status, CheckCodes=codes)
    assert await checks.ask(made, server) is up


@pytest.mark.parametrize(("method", "up"), [("0", True), ("1", False)])
async def test_a_pattern_counts_with_get_only(appliance, clock, service, method, up):
    _, server, _ = await service(lambda line, host: 200, CheckUseGet=method, CheckPattern="everything")
    await checks.settle(appliance, clock())
    assert server.up is up


async def test_a_wrong_answer_is_down_at_the_next_cycle_and_not_before(appliance, clock, service):
    made, _, there = await service(lambda line, host: 200)
    await checks.settle(appliance, clock())
    there.answers = lambda line, host: 503
    clock.forward(8)
    await checks.settle(appliance, clock())
    assert appliance.status(made) == "Up"  # what it last saw
    clock.forward(1)
    await checks.settle(appliance, clock())
    assert appliance.status(made) == "Down"


async def test_whoever_asks_during_a_cycle_is_told_what_it_found(appliance, clock, service):
    made, _, _ = await service(lambda line, host: 200)
    first = asyncio.create_task(checks.settle(appliance, clock()))
    await asyncio.sleep(0)  # it has begun
    await checks.settle(appliance, clock())
    assert appliance.status(made) == "Up"
    await first


async def test_silence_takes_timeout_times_retries(appliance, clock, service):
    made, _, there = await service(lambda line, host: 200)
    await checks.settle(appliance, clock())
    there.answers = lambda line, host: None
    clock.forward(9)
    await checks.settle(appliance, clock())
    assert appliance.status(made) == "Up"
    clock.forward(7)
    await checks.settle(appliance, clock())
    assert appliance.status(made) == "Up"
    clock.forward(1)
    await checks.settle(appliance, clock())
    assert appliance.status(made) == "Down"


async def test_where_checks_have_stopped_up_stands_for_ever(appliance, clock, service):
    made, _, there = await service(lambda line, host: 200)
    await checks.settle(appliance, clock())
    there.answers, appliance.checks = (lambda line, host: 503), False
    clock.forward(900)
    await checks.settle(appliance, clock())
    assert appliance.status(made) == "Up"


async def test_statuses_that_come_of_no_check(appliance):
    redirect = appliance.add("10.1.0.20", 80, CheckType="none", ErrorCode="301", ErrorUrl="https://%h%s")
    off = appliance.add("10.1.0.21", 80)
    off.enabled = False
    unchecked = appliance.add("10.1.0.22", 80, CheckType="none")
    appliance.add_server(unchecked, "127.0.8.1", 80)
    assert [appliance.status(one) for one in (redirect, off, unchecked)] == ["Redirect", "Disabled", "Unchecked"]


async def test_a_parent_is_up_while_one_of_its_parts_is(appliance, clock, web):
    parent = appliance.add("10.1.0.20", 80)
    for name in ("www.shop.lab", "ntrip.shop.lab"):
        part = appliance.add("", 0, master=parent.index, CheckUse1__1="Y", CheckHost=name)
        address, port, _ = await web(bound_to("www.shop.lab"))
        appliance.add_server(part, address, port)
    await checks.settle(appliance, clock())
    first, second = appliance.subs(parent.index)
    assert [appliance.status(one) for one in (first, second, parent)] == ["Up", "Down", "Up"]
