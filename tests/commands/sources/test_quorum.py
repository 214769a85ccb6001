"""A witness counts if it is online, whatever was configured; what is not told is never a vote."""

import pytest

from bot.api.facts import Unknown
from commands.sources.quorum import (
    NO_WITNESS,
    ClusterSettings,
    Witness,
    cluster_settings,
    judge_witness,
    witness_resources,
    witness_weight,
)

SHARE, CLOUD, DISK = "File Share Witness", "Cloud Witness", "Physical Disk"
SILENT = Unknown("prod", "timed out", "no answer in 20 s.")
ABSENT = Unknown("prod", "absent", "it does not know one of the columns asked for.")
CORE = {"CoreResource": "true"}


def judge(quorum, *rows, weight=1):
    resources = witness_resources("prod").read([{"Name": row["Type"]} | CORE | row for row in rows])
    return judge_witness("prod", ClusterSettings(quorum, keeps_apart=False), weight, resources)


def of(type_, state, **over):
    return {"Type": type_, "State": state} | over


@pytest.mark.parametrize(
    ("quorum", "rows"),
    [
        (2, [of(SHARE, "2")]),
        (3, [of(DISK, "2")]),
        (3, [of(DISK, "3", CoreResource="false"), of(DISK, "2")]),
        (2, [of(CLOUD, "2")]),
        (5, [of(CLOUD, "2")]),
        (4294967295, [of("cloud witness", "2")]),
    ],
)
@pytest.mark.parametrize("weight", [1, None, ABSENT])
def test_a_witness_that_is_online_votes(quorum, rows, weight):
    assert judge(quorum, *rows, weight=weight) == Witness(votes=True)


@pytest.mark.parametrize(
    ("quorum", "rows", "says"),
    [
        (2, [of(SHARE, "4")], "the file share witness has failed, so it does not count"),
        (2, [of(SHARE, "3"), of(DISK, "2")], "the file share witness is offline, so it does not count"),
        (3, [of(DISK, "4")], "the disk witness has failed, so it does not count"),
        (5, [of(CLOUD, "4")], "the cloud witness has failed, so it does not count"),
    ],
)
@pytest.mark.parametrize("weight", [0, 1, None])
def test_one_that_has_failed_counts_for_nothing(quorum, rows, says, weight):
    assert judge(quorum, *rows, weight=weight) == Witness(votes=False, says=says)


def test_one_that_is_online_may_be_without_a_vote():
    found = judge(2, of(SHARE, "2"), weight=0)
    assert found == Witness(votes=False, says="the witness has no vote now (WitnessDynamicWeight 0)")


@pytest.mark.parametrize("quorum", [1, 4])
def test_no_witness(quorum):
    assert judge(quorum, of(DISK, "2")) == NO_WITNESS


@pytest.mark.parametrize(
    ("quorum", "rows"),
    [
        (2, []),
        (2, [of(DISK, "2")]),
        (3, [of(DISK, "2", CoreResource=None)]),
        (2, [of(SHARE, "129")]),
        (2, [of(SHARE, "4294967295")]),
        (2, [of(SHARE, None)]),
        (2, [of(SHARE, "4"), of(SHARE, "130")]),
        (5, [of(DISK, "2")]),
        (None, []),
        (0, []),
    ],
)
def test_what_is_not_told_is_no_vote_and_no_lack_of_one(quorum, rows):
    found = judge(quorum, *rows)
    assert isinstance(found, Unknown)
    assert "votes is open" in found.why


def test_silence_is_not_known():
    settings = ClusterSettings(2, keeps_apart=None)
    assert judge_witness("prod", SILENT, 1, ()) is SILENT
    assert judge_witness("prod", settings, 1, SILENT) is SILENT
    assert judge_witness("prod", settings, 0, SILENT).votes is False


@pytest.mark.parametrize(("told", "enforced"), [("0", False), ("1", True), ("2", None), (None, None)])
def test_whether_anti_affinity_is_enforced(told, enforced):
    row = {"QuorumTypeValue": "2", "ClusterEnforcedAntiAffinity": told}
    assert cluster_settings("prod").read([row]) == ClusterSettings(2, enforced)


def test_the_weight_is_a_question_of_its_own_since_2012_has_none():
    assert "WitnessDynamicWeight" not in cluster_settings("prod").query.columns
    assert [witness_weight("prod").read(rows) for rows in ([{"WitnessDynamicWeight": "0"}], [{}], [])] == [
        0,
        None,
        None,
    ]
    with pytest.raises(ValueError, match="tells nothing of its quorum"):
        cluster_settings("prod").read([])
