"""The practice backup product, asked by httpx over loopback."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.commvault import responses, tokens
from lab.world import backup
from lab.world.accounts import Account
from lab.world.model import BackupJob

JOB = 48211


async def test_without_a_token_nothing_is_told(stranger):
    for path in ("Job", f"Job/{JOB}"):
        answer = await stranger.get(path)
        assert (answer.status_code, answer.json()["errorCode"]) == (401, 5)
    assert (await stranger.post(f"Job/{JOB}/action/kill")).status_code == 401


async def test_a_wrong_password_gets_no_token_and_five_lock_the_account(stranger, clock):
    for count in range(1, 5):
        reply = await stranger.log_in(password="wrong")
        assert "token" not in reply
        assert reply["errList"][0]["errLogMessage"]
        assert (reply["loginAttempts"], reply["isAccountLocked"]) == (count, False)
    await stranger.log_in(password="wrong")
    locked = await stranger.log_in()
    assert (locked["isAccountLocked"], locked["remainingLockTime"]) == (True, 300)
    clock.forward(300)
    assert (await stranger.log_in())["token"].startswith("QSDK ")


async def test_a_password_that_is_not_base64_is_a_wrong_one(stranger):
    reply = (await stranger.post("Login", {"username": "svc-backup", "password": "a:pässword 1"})).json()
    assert "token" not in reply
    assert (await stranger.http.post(f"{stranger.url}/Login", content="<no json/>")).status_code == 200


async def test_the_pending_job_says_why(client, clock):
    job = await client.job(JOB)
    assert (job["status"], job["jobType"], job["destClientName"]) == ("Pending", "Backup", "hv03")
    assert job["pendingReason"].startswith("Error Code: [91:9], Description: Volume Shadow Copy Service (VSS) error.")
    assert job["pendingReasonErrorCode"] == "91:9"
    assert job["lastUpdateTime"] == int(clock.at.timestamp()) - 25 * 60
    assert job["jobElapsedTime"] == 31 * 60


async def test_xml_is_the_default_and_says_the_same(client):
    client.headers.pop("Accept")
    answer = await client.get(f"Job/{JOB}", Accept="*/*")
    assert answer.headers["Content-Type"].startswith("application/xml")
    top = fromstring(answer.text)
    assert (top.tag, top.get("totalRecordsWithoutPaging")) == ("JobManager_JobListResponse", "1")
    summary = top.find("jobs/jobSummary")
    assert (summary.get("status"), summary.get("percentComplete"), summary.get("isAged")) == (
        "Pending",
        "5.000000",
        "false",
    )
    assert summary.find("subclient").get("clientName") == "hv03"
    assert fromstring((await client.get("Job/1", Accept="text/xml")).text).get("errorCode") == "2"


async def test_tokens_run_out_and_are_renewed(client, clock, product):
    old = client.headers["Authtoken"]
    clock.forward(29 * 60)
    assert (await client.get("Job")).status_code == 200, "every use lets it live on"
    clock.forward(29 * 60)
    assert (await client.get("Job")).status_code == 200
    clock.forward(30 * 60)
    assert (await client.get("Job")).status_code == 401
    renewed = (await client.post("RenewLoginToken", {"sessionId": old, "deviceId": "here"})).json()["token"]
    assert renewed != old
    client.headers["Authtoken"] = renewed
    assert (await client.get("Job")).status_code == 200
    assert (await client.post("RenewLoginToken", {"sessionId": old})).status_code == 401, "an old token renews once"
    product.tokens.expire()
    assert (await client.get("Job")).status_code == 401
    product.tokens.forget()
    assert (await client.post("RenewLoginToken", {"sessionId": renewed})).status_code == 401


async def test_who_logged_out_is_a_stranger(client):
    assert (await client.post("Logout")).json() == {"errorCode": 0}
    assert (await client.get("Job")).status_code == 401


async def test_resume_works_when_the_guests_are_clean(client, world, clock):
    world.guest("test-tfs-01").volume("C").free += 2 * 1024**3
    assert await client.act(JOB, "resume") == (0, "")
    assert (await client.job(JOB))["status"] == "Running"
    assert "pendingReason" not in await client.job(JOB)
    code, message = await client.act(JOB, "resume")
    assert (code, message) == (2, "The job cannot resume while it is Running.")
    clock.forward(6)
    job = await client.job(JOB)
    assert (job["status"], job["percentComplete"]) == ("Completed", 100)
    assert world.node("hv03").writer(backup.HYPER_V_WRITER).state == 1
    assert not any(guest.locked for guest in world.clusters["prod"].guests)


async def test_resume_goes_pending_again_while_a_guest_is_full(client, clock):
    assert await client.act(JOB, "resume") == (0, "")
    clock.forward(6)
    job = await client.job(JOB)
    assert (job["status"], job["pendingReasonErrorCode"]) == ("Pending", "91:9")
    assert job["lastUpdateTime"] == int(clock.at.timestamp()) - 1


async def test_a_suspended_job_waits_for_a_person(client, world, clock):
    assert await client.act(JOB, "suspend") == (0, "")
    world.act("free-2gb")
    clock.forward(60)
    assert (await client.job(JOB))["status"] == "Suspended"
    assert await client.act(JOB, "pause") == (2, "The job cannot pause while it is Suspended.")
    await client.act(JOB, "resume")
    clock.forward(6)
    assert (await client.job(JOB))["status"] == "Completed"


async def test_a_killed_job_leaves_a_broken_writer_and_cannot_be_resumed(client, world, clock):
    assert await client.act(JOB, "kill") == (0, "")
    clock.forward(5)
    assert (await client.job(JOB))["status"] == "Killed"
    writer = world.node("hv03").writer(backup.HYPER_V_WRITER)
    assert (writer.state, writer.error) == (5, "unexpected")
    assert (await client.act(JOB, "resume"))[0] == 2
    assert (await client.act(JOB, "kill"))[0] == 2


async def test_who_may_only_look_cannot_act(stranger, world):
    await stranger.log_in(Account("viewer", "svc-view", "pw"))
    assert (await stranger.job(JOB))["status"] == "Pending"
    refused = (await stranger.post(f"Job/{JOB}/action/kill")).json()
    assert refused == {"errorMessage": "Access denied", "errorCode": 5}
    assert world.jobs[JOB].state == "pending"


async def test_a_job_that_just_began_is_not_there_yet(client, world, clock):
    job = backup.begin(world, world.node("br01"))
    assert (await client.get(f"Job/{job.id}")).json() == {"totalRecordsWithoutPaging": 0}
    clock.forward(2)
    assert (await client.job(job.id))["status"] == "Running"
    assert (await client.get("Job/999")).status_code == 404
    assert (await client.get("Job/none")).status_code == 404
    assert (await client.post(f"Job/{JOB}/action/delete")).status_code == 404


@pytest.mark.parametrize(
    ("query", "numbers"),
    [("", [48212, JOB]), ("?jobCategory=Active", [JOB]), ("?jobCategory=Finished", [48212])],
)
async def test_jobs_are_listed_by_category(client, world, clock, query, numbers):
    backup.begin(world, world.node("br01"))
    clock.forward(60)
    reply = (await client.get(f"Job{query}")).json()
    assert [row["jobSummary"]["jobId"] for row in reply["jobs"]] == numbers
    assert reply["totalRecordsWithoutPaging"] == len(numbers)


async def test_a_list_comes_in_pages(client, world):
    """A hundred where nothing else is asked; `limit` and `offset` are headers, and the total is that of all pages [doc]."""
    world.jobs = {at: BackupJob(at, world.node("hv01"), "suspended") for at in range(1, 141)}

    async def listed(**paging):
        reply = (await client.get("Job?jobCategory=Active", **paging)).json()
        assert reply["totalRecordsWithoutPaging"] == 140
        return [row["jobSummary"]["jobId"] for row in reply.get("jobs", [])]

    assert await listed() == list(range(140, 40, -1))
    assert await listed(offset="100") == list(range(40, 0, -1))
    assert await listed(limit="50", offset="50") == list(range(90, 40, -1))
    assert await listed(limit="1000") == list(range(140, 0, -1))
    assert await listed(offset="140") == []


async def test_finished_jobs_are_listed_as_far_back_as_asked(client, world, clock):
    job = backup.begin(world, world.node("br01"))
    clock.forward(7200)
    await client.log_in()
    for seconds, there in ((3600, False), (7200, True)):
        reply = (await client.get(f"Job?jobCategory=Finished&completedJobLookupTime={seconds}")).json()
        assert (job.id in [row["jobSummary"]["jobId"] for row in reply.get("jobs", [])]) == there


@given(st.text(max_size=30).filter(lambda text: text.isprintable()))
def test_any_text_survives_the_xml(text):
    assert fromstring(responses.xml("A", {"b": [{"c": text}]})).find("b").get("c") == text


@given(st.text(max_size=20))
def test_only_the_right_password_logs_in(sent):
    assert not tokens._same("rïght", sent)
    assert tokens._same("rïght", "csOvZ2h0")


async def test_below_either_path_the_root_says_that_it_is_there_and_nothing_else(stranger, product):
    for base in (product.url, product.url.replace("/webconsole/", "/commandcenter/")):
        for root in (base, f"{base}/"):
            answer = await stranger.http.get(root)
            assert (answer.status_code, answer.text) == (200, "")
        assert (await stranger.http.get(f"{base}/Job")).status_code == 401


async def test_jobs_by_a_body_are_those_by_a_query(client, world):
    asked = {"scope": 1, "category": 1, "pagingConfig": {"offset": 0, "limit": 100}, "jobFilter": {}}
    active = (await client.post("Jobs", asked)).json()
    assert active == (await client.get("Job?jobCategory=Active")).json()
    for nonsense in ({}, {"category": "x", "pagingConfig": [], "jobFilter": {"completedJobLookupTime": -1}}):
        assert (await client.post("Jobs", nonsense)).json() == (await client.get("Job")).json()
    second = (await client.post("Jobs", {"pagingConfig": {"offset": len(world.jobs), "limit": 5}})).json()
    assert (second["totalRecordsWithoutPaging"], second.get("jobs")) == (len(world.jobs), None)


async def test_details_of_a_job_and_of_none(client):
    told = (await client.post("JobDetails", {"jobId": JOB, "showAttempt": True})).json()["job"]["jobDetail"]
    assert told["progressInfo"]["state"] == "Pending"
    assert told["progressInfo"]["reasonForJobDelay"] == (await client.job(JOB))["pendingReason"]
    for body in ({"jobId": 1}, {}, {"jobId": "x"}):
        assert (await client.post("JobDetails", body)).json()["error"]["errList"][0]["errorCode"] == 2
