"""Two bots for safety: two processes, one ledger, one Slack. One runs what is decided; when it is killed, the other goes on."""

import asyncio
import re
import signal
from collections import Counter

import pytest
from bot_pair import bot_messages, pair_on, until


@pytest.fixture(params=["sqlite", "postgresql"])
async def pair(request, tmp_path):
    database = None
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgresql_cluster")
        database = cluster.database()
    async with pair_on(tmp_path, database) as made:
        yield made
    if database is not None:
        cluster.drop(database)


async def test_one_decision_one_start_one_holder_and_the_other_takes_over(pair):
    operator, first, second = (pair.slack.person(one) for one in ("operator", "approver", "second"))
    await operator.types("/drain-node hv03")
    plan = await operator.sees("Drain node hv03?", "hv-ops")
    killed = pair.kill_holder_at_next_act()
    await asyncio.gather(*(one.clicks(plan, "Approve") for one in (first, second, first, second)))
    await until(lambda: killed.poll() is not None)
    assert killed.returncode == -signal.SIGKILL
    world = pair.estate.world
    await asyncio.to_thread(pair.estate.do, lambda: world.skip(120))  # the guests have moved meanwhile
    await until(lambda: pair.holder() not in (killed, None))

    done = await operator.sees(re.compile("^Done: Drain node hv03"), "hv-ops")
    assert done.ts == plan.ts
    await until(lambda: any(one.kind == "shown" and one.fields.get("entry") for one in pair.story()[-1:]))
    story = pair.story()
    kinds = Counter(one.kind for one in story)
    assert [kinds[one] for one in ("approved", "started", "intent", "outcome", "done")] == [1] * 5
    assert world.asked == ["hv03: MSCluster_Node.Pause"]
    clicks = [one for one in story if one.kind == "clicked"]
    answers = {one.click: one.kind for one in story if one.click}
    assert sorted(answers) == [one.seq for one in clicks]
    assert Counter(answers.values()) == {"approved": 1, "refused": len(clicks) - 1}

    shown = [one for one in bot_messages(pair) if one.only_for is None]
    assert [one.ts for one in shown if not one.thread_ts] == [plan.ts]
    assert [text for text, times in Counter(one.text for one in shown).items() if times > 1] == []
    told = [one for one in bot_messages(pair) if one.only_for in ("U0APPROVER", "U0SECOND")]
    assert len(told) == len(clicks)
    # Which is said depends on whether the run had begun, and whether the same bot still answered that person's first press.
    refused = re.compile(r"Too late: T-1 (was approved by|runs since)|This button is already being answered\.")
    assert len([one for one in told if refused.match(one.text)]) == len(clicks) - 1, [one.text for one in told]
