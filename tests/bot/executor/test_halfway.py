"""A command that knows its own doing makes its plan anew half-way; and a run tells when each of its steps was done."""

import pytest
from kill_shapes import HALFWAY, there_and_back
from scripted_world import OPERATOR, Bench

from bot.tickets.run_history import story_of


@pytest.fixture
async def drilled(tmp_path, world, clock):
    world.hosts["hv03"] |= {"side": "home", "seen": "yes"}
    made = Bench(tmp_path, world, clock, plans={"drill": there_and_back}, halfway=HALFWAY)
    yield made
    await made.close()


def person_presses_done(bench, ticket, then=lambda: None):
    """Somebody says that it is done, a minute after it was asked for."""
    pressed = []

    async def sleep(seconds):
        await bench.clock.sleep(seconds)
        now = bench.ledger.ticket(ticket)
        if now.intent and now.intent[0] == "look" and not pressed:
            pressed.append(seconds)
            await bench.clock.sleep(60)
            then()
            bench.decisions.confirm_manual_step(bench.press(OPERATOR, ticket))

    object.__setattr__(bench.parts, "sleep", sleep)


async def test_the_rest_is_made_from_the_side_that_the_first_way_has_brought_it_to(drilled, world):
    ticket = await drilled.approved("/drill hv03")
    person_presses_done(drilled, ticket)
    await drilled.runs()
    assert drilled.kinds(ticket)[-1] == "done"
    assert world.hosts["hv03"]["side"] == "home"
    times = story_of(drilled.ledger.story(ticket)).times()
    assert list(times) == ["over", "start", "look", "over-back", "start-back"]
    assert (times["look"].ended - times["look"].began).total_seconds() >= 60
    in_order = [moment for one in times.values() for moment in (one.began, one.ended)]
    assert in_order == sorted(in_order)


async def test_what_is_otherwise_by_then_voids_the_rest_and_proposes_nothing_in_its_place(drilled, world):
    ticket = await drilled.approved("/drill hv03")
    person_presses_done(drilled, ticket, lambda: world.hosts["hv03"].update(side="nowhere"))
    await drilled.runs()
    end = drilled.last(ticket)
    assert end.kind == "voided"
    assert "The service is where the next failover leaves from" in end.reason
    assert len(drilled.ledger.entries(kind="proposed")) == 1
    assert "over-back" not in [entry.data.step for entry in drilled.ledger.entries(ticket=ticket, kind="intent")]
