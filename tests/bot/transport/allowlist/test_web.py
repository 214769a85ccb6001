"""Replies of CommVault's web service in the forms that were published, and in others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.queries import make_params
from bot.transport.allowlist import BadOutput
from bot.transport.allowlist.web import CALLS, JobRefused, parse_done, parse_jobs

SUMMARY = {
    "jobId": 48211,
    "status": "Pending",
    "localizedStatus": "Ausstehend",
    "jobType": "Backup",
    "percentComplete": 5,
    "pendingReason": "Error Code: [91:9], Description: VSS",
    "pendingReasonErrorCode": "91:9",
    "jobStartTime": 1423087483,
    "lastUpdateTime": 1423087497,
    "destClientName": "other",
    "subclient": {"clientName": "hv03", "subclientName": "default"},
}
ROW = {
    "job": "48211",
    "status": "Pending",
    "kind": "Backup",
    "percent": "5",
    "client": "hv03",
    "subclient": "default",
    "reason": "Error Code: [91:9], Description: VSS",
    "reason_code": "91:9",
    "started": "2015-02-04T22:04:43+00:00",
    "changed": "2015-02-04T22:04:57+00:00",
}


def test_a_list_of_jobs():
    assert parse_jobs({"totalRecordsWithoutPaging": 1, "jobs": [{"jobSummary": SUMMARY}]}) == (ROW,)
    assert parse_jobs({"totalRecordsWithoutPaging": 0}) == ()


def test_the_form_of_older_versions():
    old = {f"@{name}": value for name, value in SUMMARY.items() if name != "subclient"} | {
        "@jobId": "48211",
        "@percentComplete": "5.000000",
        "subclient": {"@clientName": "hv03", "@subclientName": "default"},
    }
    wrapped = {"JobManager_JobListResponse": {"@totalRecordsWithoutPaging": "1", "jobs": {"jobSummary": old}}}
    assert parse_jobs(wrapped) == (ROW,)


def test_what_is_missing_is_empty():
    bare = {"jobId": "7", "status": "Killed", "destClientName": "hv04", "jobStartTime": 0, "lastUpdateTime": 10**30}
    (row,) = parse_jobs({"jobs": [{"jobSummary": bare}]})
    assert (row["client"], row["started"], row["changed"], row["reason"]) == ("hv04", None, None, "")


@pytest.mark.parametrize("status", [{}, {"status": None}, {"status": 3}, {"status": ["Running"]}])
def test_one_job_without_a_state_hides_no_other(status):
    odd, row = parse_jobs({"jobs": [{"jobSummary": {"jobId": 7} | status}, {"jobSummary": SUMMARY}]})
    assert (odd["job"], odd["status"], row) == ("7", "", ROW)


@pytest.mark.parametrize(
    "reply", [None, 3, "text", [], {}, {"jobs": [{"jobSummary": {}}]}, {"jobs": [{"jobSummary": {"status": "x"}}]}]
)
def test_anything_else_is_no_list(reply):
    with pytest.raises(BadOutput):
        parse_jobs(reply)


@pytest.mark.parametrize(
    ("reply", "code", "says"),
    [
        ({"errorMessage": "Access denied", "errorCode": 5}, 5, "Access denied"),
        ({"errList": [{"errorCode": 2, "errLogMessage": "x"}]}, 2, "x"),
        ({"errors": [{"errList": [{"errorCode": 0}, {"errorCode": "2", "errLogMessage": "y"}]}]}, 2, "y"),
        ({"@errorCode": "1"}, 1, "it did not say why"),
    ],
)
def test_errors_inside_of_a_good_status(reply, code, says):
    for parse in (parse_jobs, parse_done):
        with pytest.raises(JobRefused, match=says) as declined:
            parse(reply)
        assert declined.value.code == code


def test_an_action_that_was_taken():
    assert parse_done({"errors": [{"errList": [{"errorCode": 0, "errLogMessage": ""}]}]}) == ()
    with pytest.raises(BadOutput):
        parse_done({})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["jobs", "jobSummary", "jobId", "status", "errList", "errorCode"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=100)
@given(JSON)
def test_nonsense_is_refused_or_read(reply):
    for parse in (parse_jobs, parse_done):
        try:
            parse(reply)
        except (BadOutput, JobRefused):
            continue


def test_addresses():
    assert CALLS["commvault job"].address(make_params(job=7)) == "Job/7"
    assert CALLS["commvault resume job"].address(make_params(job=7)) == "Job/7/action/resume"
    assert CALLS["commvault active jobs"].address(()) == "Job?jobCategory=Active"
    with pytest.raises(ValueError, match="needs job"):
        CALLS["commvault job"].address(())
    with pytest.raises(ValueError, match="takes no x"):
        CALLS["commvault active jobs"].address(make_params(x=1))


@pytest.mark.parametrize("number", ["\u0661", "9" * 5_000, "1_0", "nan", "1e5"])
def test_a_time_in_other_digits_or_too_many_is_none(number):
    (row,) = CALLS["commvault job"].parse(
        {"jobs": [{"jobSummary": {"jobId": 1, "status": "Running", "jobStartTime": number}}]}
    )
    assert row["started"] is None
