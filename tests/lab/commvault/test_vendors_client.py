"""cvpysdk, which CommVault publishes, over loopback: it logs in, lists jobs, builds a `Job()` and acts on it."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from .conftest import OPERATOR, VIEWER

cvpysdk = pytest.importorskip("cvpysdk.commcell", reason="cvpysdk is not installed: make setup")
JOB = 48211


@pytest.fixture
def in_thread(world):
    """The client blocks; the world lives in this loop."""

    async def run(work, *arguments):
        return await asyncio.to_thread(partial(work, *arguments))

    return run


@pytest.fixture
def commcell(product, in_thread):
    """Somebody who is logged in, by the path that the client asks for: /commandcenter/api, or the older one."""

    async def log_in(account=OPERATOR, base="commandcenter/api", password=None):
        address = product.url.partition("/webconsole")[0].removeprefix("http://")
        return await in_thread(
            partial(
                cvpysdk.Commcell,
                address,
                account.user,
                password or account.password,
                web_service_url=f"http://{address}/{base}",
            )
        )

    return log_in


@pytest.mark.parametrize("base", ["commandcenter/api", "webconsole/api"])
async def test_it_builds_a_job_below_either_path(commcell, in_thread, base):
    vendor = await commcell(base=base)
    job = await in_thread(vendor.job_controller.get, JOB)
    told = await in_thread(lambda: (job.status, job.state, job.client_name, job.is_finished))  # each of them asks
    assert told == ("Pending", "Pending", "hv03", False)
    for reason in await in_thread(lambda: (job.pending_reason, job.delay_reason)):
        assert "[91:9]" in reason


async def test_it_lists_the_jobs_that_run_and_those_that_ended(commcell, in_thread, world):
    vendor = await commcell()
    active = await in_thread(vendor.job_controller.active_jobs)
    assert set(active) == {job.id for job in world.jobs.values() if job.state not in ("completed", "killed")}
    assert JOB in active
    every = await in_thread(partial(vendor.job_controller.all_jobs, lookup_time=24 * 365, limit=1000))
    assert set(every) == set(world.jobs)
    first = await in_thread(partial(vendor.job_controller.all_jobs, lookup_time=24 * 365, limit=1))
    assert len(first) == 1


async def test_it_resumes_a_job(commcell, in_thread, world):
    vendor = await commcell()
    job = await in_thread(vendor.job_controller.get, JOB)
    await in_thread(job.resume)
    assert f"commvault: resume job {JOB}" in world.asked


async def test_a_viewer_may_not(commcell, in_thread, world):
    vendor = await commcell(VIEWER)
    job = await in_thread(vendor.job_controller.get, JOB)
    with pytest.raises(Exception, match="Access denied"):
        await in_thread(job.resume)
    assert world.asked == []


async def test_a_wrong_password(commcell):
    with pytest.raises(Exception, match="not correct"):
        await commcell(password="wrong")
