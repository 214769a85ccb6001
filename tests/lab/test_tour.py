"""The tour: a step is over when it has happened, and not before."""

import pytest

from lab.scenarios import stories, tour
from lab.tour import PLACES, Observation, Tour

STUCK = "prod: Hyper-V writer LOOKS STUCK on hv03"
FULL = "prod: test-tfs-01 has 0 MB free on C:"
HELD = "No plan yet for hv03: 9 of 11 guests are locked, a drain would fail (5960)"
RESUMED = "Done: Resume backup 48211"
OTHER = "prod: event 8194 PERMISSION on hv06"
OFFERS = frozenset({"free-2gb", "end-job"})


def start(story: str, verify: str = "") -> Tour:
    return Tour(tour(story), verify)


def at(tour: Tour) -> str:
    return next((step.key for step in tour.steps if step.key not in tour.done), "")


def test_the_stuck_writer_step_by_step():
    tour = start("stuck-writer", "verify")
    before = {"hv03 writer": "[5] retryable error"}
    after = {"hv03 writer": "[1] no error", "Backup job 48211": "completed"}
    assert not tour.answered
    for seen, then in (
        (Observation((), before, OFFERS), "ask"),
        (Observation((STUCK,), before, OFFERS), "find"),
        (Observation((STUCK, FULL), before, OFFERS), "no-reset"),
        (Observation((STUCK, FULL, HELD), before, OFFERS), "free"),
        (Observation((STUCK, FULL, HELD), before, frozenset({"end-job"})), "resume"),
        (Observation((STUCK, FULL, HELD, RESUMED), after, frozenset()), "again"),
        (Observation((STUCK, FULL, HELD, RESUMED, OTHER), after, frozenset()), "review"),
        (Observation((STUCK, FULL, HELD, RESUMED, OTHER, "Audit prod, 24 h"), after, frozenset()), "ledger"),
    ):
        tour.look(seen)
        assert at(tour) == then
    assert tour.answered
    assert tour.as_json()["steps"][-1] | {"says": ""} == {
        "key": "ledger",
        "title": "Everything asked stands in the ledger.",
        "says": "",
        "line": "",
        "shell": "verify",
        "press": [],
        "done": False,
    }


@pytest.mark.parametrize(
    "early", [STUCK, "prod: VSS writers healthy on all 6 nodes, a backup is running", "prod: BUSY on hv03"]
)
def test_looking_again_too_early_is_not_yet_recovery(early):
    tour = start("stuck-writer")
    facts = {"hv03 writer": "[1] no error", "Backup job 48211": "completed"}
    tour.look(Observation((STUCK, FULL, HELD, RESUMED, early), facts, frozenset()))
    assert at(tour) == "again"


def test_what_has_happened_once_stays_done():
    tour = start("stuck-writer")
    tour.look(Observation((STUCK,), {}, OFFERS))
    tour.look(Observation((), {}, OFFERS))
    assert at(tour) == "find"


def test_steps_and_the_whole_tour_can_be_skipped():
    tour = start("healthy")
    tour.change("next")
    assert at(tour) == "silent"
    tour.change("skip")
    assert tour.as_json()["skipped"]
    tour.change("resume")
    assert not tour.as_json()["skipped"]
    with pytest.raises(KeyError):
        tour.change("explode")


def test_a_silent_host_is_seen_by_the_word_unknown():
    tour = start("healthy")
    tour.look(Observation(("prod: VSS writers healthy on all 6 nodes",), {}, frozenset()))
    assert at(tour) == "silent"
    tour.look(Observation(("prod: VSS writers healthy on 5 of 6 nodes, hv05 unknown",), {}, frozenset(), unknown=True))
    assert at(tour) == "ledger"


def test_the_killed_job_step_by_step():
    tour = start("stuck-writer-job-dead")
    drained = {"hv03 writer": "[1] no error", "hv03": "paused, drained, 0 guests", "Backup job 48211": "killed"}
    resumed = {**drained, "hv03": "up, 11 guests"}
    saved = {**resumed, "Backup job 48212": "completed"}
    for headers, facts, step in (
        ((), {}, "ask"),
        (("hv03: Hyper-V writer LOOKS STUCK on hv03",), {"hv03 writer": "[5] unexpected error"}, "plan"),
        (("Reset writer on hv03?",), {"hv03 writer": "[5] unexpected error"}, "approve"),
        (("Reset writer on hv03",), {"hv03 writer": "[5] unexpected error"}, "watch"),
        (("T-1 hv03: step 4 of 6",), drained, "watch"),
        (("Done: Reset writer on hv03",), resumed, "back-up"),
        (("Done: Reset writer on hv03",), saved, "review"),
        (("Audit prod, 24 h: 1 change",), saved, "ledger"),
    ):
        tour.look(Observation(headers, facts))
        assert at(tour) == step


def test_remote_browsing_step_by_step():
    tour = start("remote-browsing")
    changed = {"hv02 browsing": "works", "hv02 audit policy": "2 settings differ"}
    restored = {**changed, "hv02 audit policy": "as it was"}
    for headers, facts, step in (
        ((), {}, "plan"),
        (("Fix remote browsing on hv02?",), changed, "approve"),
        ((), restored, "browse"),
        ((), {**restored, "hv02 wizard": "an error again"}, "browse"),
        ((), {**restored, "hv02 wizard": "files are listed"}, "browse"),
        (("Done: Fix remote browsing on hv02",), {**restored, "hv02 wizard": "files are listed"}, "review"),
        (("Audit, 24 h: 1 change",), restored, "ledger"),
    ):
        tour.look(Observation(headers, facts))
        assert at(tour) == step


def test_a_missing_machine_step_by_step():
    tour = start("missing-vm")
    lost = {"VMM believes": "on hv04, Missing", "VMMService on vmm01": "running"}
    changed = {"VMM believes": "on hv06, Running", "VMMService on vmm01": "stopped"}
    mended = {**changed, "VMMService on vmm01": "running"}
    for headers, facts, step in (
        ((), lost, "find"),
        (("vmm: VMM and hosts agree about 120 virtual machines",), lost, "find"),
        (("vmm: crm-01 is missing in VMM, and running on hv06",), lost, "plan"),
        (("Fix missing VM crm-01?",), lost, "approve"),
        (("T-1 crm-01: step 2 of 4",), changed, "approve"),
        (("T-1 crm-01: step 4 of 4",), mended, "refresh"),
        (("Done: Fix missing VM crm-01",), mended, "undo"),
        (("Done: Undo T-1 on crm-01",), mended, "undo"),
        (("Done: Undo T-1 on crm-01",), lost, "review"),
        (("Audit, 24 h: 2 changes",), lost, "ledger"),
    ):
        tour.look(Observation(headers, facts))
        assert at(tour) == step


def test_every_story_has_a_tour_that_ends_at_the_ledger():
    for story in stories():
        steps = start(story, "verify").steps
        assert len(steps) > 1, f"the TOUR of {story} leads nowhere"
        assert steps[-1].shell == "verify"
        assert len({step.key for step in steps}) == len(steps)


@pytest.mark.parametrize("story", stories())
def test_what_a_tour_says_to_press_is_somewhere(story):
    """Each is in a place that the page knows; and what is pressed in World is named in the step, with World beside it."""
    for step in tour(story):
        for place, label in (one.split(" › ") for one in step.press):
            assert place in PLACES
            assert label in step.says or place in ("Act as", "Message"), f"{step.key} does not name {label}"
            assert place != "World" or "World" in step.says, f"{step.key} does not say that {label} stands in World"


@pytest.mark.parametrize("story", stories())
def test_a_step_that_names_the_world_or_the_troubles_shows_them(story):
    for step in tour(story):
        for place in ("World", "Trouble"):
            if f"in {place}" in step.says or f"Open {place}" in step.says:
                watches = "Watch" in step.says
                assert watches or any(one.startswith(f"{place} › ") for one in step.press), step.key
