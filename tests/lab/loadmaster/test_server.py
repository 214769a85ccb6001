"""Both versions of the interface, as a plain client sees them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import httpx
import pytest

from .conftest import OPERATOR, VIEWER


def data(reply):
    top = ET.fromstring(reply.content)
    assert (top.tag, top.get("stat"), top.get("code")) == ("Response", str(reply.status_code), "ok")
    return top.find("Success/Data")


async def test_a_service_has_the_fields_of_the_capture(appliance, http):
    appliance.add("10.154.75.123", 80)
    found = data(await http.get("/access/showvs", params={"vs": "1"}))
    told = {one.tag: one.text for one in found}
    assert told["Status"] == "Down"
    for name, value in {
        "Index": "1",
        "VSAddress": "10.154.75.123",
        "Enable": "Y",
        "CheckUse1.1": "N",
        "CheckUseGet": "0",
    }.items():
        assert told[name] == value
    assert "CheckHost" not in told  # what is empty is absent


async def test_it_writes_latin_letters_in_its_own_encoding(appliance, http):
    appliance.add("10.1.0.20", 80, NickName="Büro")
    reply = await http.get("/access/listvs")
    assert b'encoding="ISO-8859-1"' in reply.content
    assert "Büro".encode("iso-8859-1") in reply.content
    assert data(reply).findtext("VS/NickName") == "Büro"


async def test_changes_come_by_get_and_by_a_form(appliance, http):
    service = appliance.add("10.1.0.20", 80)
    await http.get("/access/modvs", params={"vs": 1, "CheckHost": "www.shop.lab"})
    await http.post("/access/modvs", data={"vs": 1, "checkuse1.1": "1"})
    assert (service.get("CheckHost"), service.get("CheckUse1.1")) == ("www.shop.lab", "Y")
    await http.get("/access/modvs", params={"vs": 1, "CheckHost": ""})
    assert service.get("CheckHost") == ""


async def test_a_persist_timeout_sent_back_switches_persistence_on(appliance, http):
    service = appliance.add("10.1.0.20", 80)
    await http.get("/access/modvs", params={"vs": 1, "PersistTimeout": "0"})
    assert service.get("Persist") == ""
    await http.get("/access/modvs", params={"vs": 1, "PersistTimeout": "360"})
    assert service.get("Persist") == "src"


async def test_a_sub_service_may_not_be_shown_by_itself(appliance, http):
    parent = appliance.add("10.1.0.20", 80)
    await http.get("/access/modvs", params={"vs": parent.index, "createsubvs": ""})
    listed = data(await http.get("/access/listvs")).findall("VS")
    assert [(one.findtext("VSPort"), one.findtext("MasterVSID"), one.findtext("VSAddress")) for one in listed] == [
        ("80", "0", "10.1.0.20"),
        ("0", "1", None),
    ]
    assert listed[0].findtext("SubVS/VSIndex") == "2"
    assert listed[0].find("EnhancedHealthChecks") is None
    assert data(await http.get("/access/showvs", params={"vs": 2})).findtext("Index") == "2"
    appliance.shows_subs = False
    refused = await http.get("/access/showvs", params={"vs": 2})
    assert (refused.status_code, ET.fromstring(refused.content).findtext("Error")) == (422, "Unknown VS")


@pytest.mark.parametrize("login", [None, ("hvops", "wrong"), ("", "")])
async def test_nobody_comes_in_without_the_password(lm, login):
    async with httpx.AsyncClient(base_url=lm.url, trust_env=False) as client:
        reply = await client.get("/access/listvs", auth=login)
        assert reply.status_code == 401
        user, password = login or ("", "")
        told = {"cmd": "listvs", "apiuser": user, "apipass": password}
        assert (await client.post("/accessv2", json=told)).json()["code"] == 401


async def test_a_viewer_changes_nothing(appliance, lm):
    service = appliance.add("10.1.0.20", 80)
    async with httpx.AsyncClient(base_url=lm.url, auth=(VIEWER.user, VIEWER.password), trust_env=False) as client:
        assert (await client.get("/access/listvs")).status_code == 200
        refused = await client.get("/access/modvs", params={"vs": 1, "CheckHost": "x"})
    assert refused.status_code == 403
    assert service.get("CheckHost") == ""


async def test_version_2_has_truth_values_numbers_and_text(appliance, http):
    service = appliance.add("10.1.0.20", 80, CheckUse1__1="Y", NickName="web")
    appliance.add_server(service, "127.0.8.1", 9)
    told = (await http.post("/accessv2", json={"cmd": "showvs", "apikey": "key-1", "vs": "1"})).json()
    assert (told["code"], told["status"]) == (200, "ok")
    assert told["CheckUse1.1"] is True
    assert (told["CheckUseGet"], told["CheckPort"], told["VSPort"]) == (0, "0", "80")
    assert told["EnhancedHealthchecks"] is False
    assert told["Rs"][0]["RSIndex"] == 1
    assert "CheckHost" not in told
    changed = {"cmd": "modvs", "apiuser": OPERATOR.user, "apipass": OPERATOR.password, "vs": 1, "CheckUse1.1": False}
    assert (await http.post("/accessv2", json=changed)).json()["CheckUse1.1"] is False


async def test_version_2_refuses_in_its_own_way(appliance, http):
    refused = await http.post("/accessv2", json={"cmd": "showvs", "apikey": "key-1", "vs": "7"})
    assert refused.status_code == 422
    assert refused.json() == {"code": 422, "message": "Unknown VS", "status": "fail"}
    appliance.has_sessions = False
    assert (await http.post("/accessv2", json={"cmd": "listvs", "apikey": "key-1"})).status_code == 401


async def test_with_the_interface_off_nothing_is_there(appliance, http):
    appliance.has_api = False
    assert (await http.get("/access/listvs")).status_code == 404
    assert (await http.post("/accessv2", json={"cmd": "listvs", "apikey": "key-1"})).status_code == 404


async def test_version_and_times(appliance, http):
    appliance.version = "7.2.59.1.1.RELEASE"
    assert data(await http.get("/access/get", params={"param": "version"})).findtext("version") == "7.2.59.1.1.RELEASE"
    times = {one.tag: one.text for one in data(await http.get("/access/showhealth"))}
    assert times == {"RetryInterval": "9", "Timeout": "4", "RetryCount": "2"}
