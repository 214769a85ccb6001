"""`hvops ask --lab FILE`: an incident is played over the wire and judged, a capture is asked again."""

from __future__ import annotations

import json
import os

import pytest

from lab.plugin import PRACTICE

CASE = """\
title = "A job that waits is resumed."
source = ["a test"]
at = 2026-11-22T22:41:00Z
line = "/resume-backup 48211"
{top}
[[earlier]]
at = 2026-11-22T22:21:00Z
line = "/check-writers hv03"

[[jobs]]
id = 48211
node = "hv03"
reason = "VSS."
reason_code = "91:9"
started = 2026-11-22T20:00:00Z

[expect]
{expect}
"""


@pytest.fixture
def file(tmp_path):
    """A function: a file with a case."""

    def write(expect, top=""):
        path = tmp_path / "incident.toml"
        path.write_text(CASE.format(expect=expect, top=top))
        return path

    return write


def test_a_case_that_is_answered_rightly_ends_with_0(hvops, file):
    steps = 'blocked = false\nexit = 0\nsteps = ["Resume backup job 48211"]\n'
    gate = 'gates = [{ says = "enough free space", outcome = "not known" }]\n'
    ended = hvops("ask", "--lab", file(steps + gate))
    assert ended.code == 0, ended
    assert ended.out.startswith("Preview: a plan for 48211 is possible\n")
    assert ended.out.endswith("Case: A job that waits is resumed.\nRIGHT: all that is expected is so.\n")
    assert "9 guests answered" not in ended.out
    assert "(not known)" not in ended.out  # its host was known from the line before


def test_a_case_that_is_answered_wrongly_ends_with_1_and_says_why(hvops, file):
    ended = hvops("ask", "--lab", file('blocked = true\nsays = ["nothing to resume"]', 'wrong_today = "So it is."'))
    assert ended.code == 1
    assert ended.out.splitlines()[-3:] == [
        "WRONG says: “nothing to resume” is missing",
        "WRONG blocked: a plan is possible",
        "Known: So it is.",
    ]


def test_one_that_is_right_though_it_is_marked_is_noticed(hvops, file):
    ended = hvops("ask", "--lab", file("blocked = false", 'wrong_today = "So it was."'))
    assert ended.code == 0
    assert "It is marked wrong_today: take that out." in " ".join(ended.out.split())


def test_another_line_is_answered_there_and_not_judged(hvops, file):
    ended = hvops("ask", "--lab", file("exit = 3"), "/check-writers hv01")
    assert (ended.code, ended.out.splitlines()[0]) == (0, "hv01: VSS writers healthy on 1 node")
    assert ended.out.endswith("Not checked: the case is about /resume-backup 48211\n")


def test_with_json_the_answer_alone_is_on_standard_output(hvops, file):
    ended = hvops("ask", "--lab", "--json", file("blocked = false"))
    assert json.loads(ended.out)["command"] == "resume-backup"
    assert "RIGHT" in ended.err


def test_a_refusal_by_the_settings_is_an_answer_too(hvops, file):
    body = file('says = ["transport"]\nexit = 2')
    text = body.read_text() + '[settings.credentials.reader]\ntransport = "telepathy"\n'
    body.write_text(text)
    ended = hvops("ask", "--lab", body)
    assert ended.code == 0, ended
    assert "[credentials.reader] transport is wrong" in " ".join(ended.err.split())


def test_a_line_that_nobody_understands_is_an_answer_too(hvops, file):
    path = file('exit = 2\nsays = ["/resume-bakcup"]')
    path.write_text(path.read_text().replace("/resume-backup 48211", "/resume-bakcup 48211"))
    ended = hvops("ask", "--lab", path)
    assert ended.code == 0, ended
    assert "Did you mean /resume-backup?" in ended.err


def test_a_file_that_cannot_be_played_is_refused_by_its_key(hvops, file):
    ended = hvops("ask", "--lab", file("exit = 0", 'scenario = "nowhere"'))
    assert ended.code == 2
    said = "".join(ended.err.split())  # a long path is broken anywhere
    assert "incident.toml: scenario: there is no 'nowhere'".replace(" ", "") in said


@pytest.mark.parametrize("name", ["gone.toml", "/gone.json"])
def test_a_file_that_is_not_there_is_no_story(hvops, name):
    ended = hvops("ask", "--lab", name)
    assert (ended.code, ended.err) == (2, f"There is no file {name}.\n")


def test_nothing_real_is_in_reach_meanwhile(hvops, file, monkeypatch):
    monkeypatch.setenv("HVOPS_INVENTORY", "/nowhere/inventory.toml")
    assert hvops("ask", "--lab", file("blocked = false")).code == 0
    assert os.environ["HVOPS_INVENTORY"] == "/nowhere/inventory.toml"


@pytest.fixture(scope="module")
def estate(tmp_path_factory):
    with PRACTICE.start("stuck-writer", tmp_path_factory.mktemp("estate")) as running:
        yield running.settings_path


def test_a_capture_is_asked_again_at_its_own_time(hvops, estate, tmp_path):
    file = tmp_path / "capture.json"
    assert hvops("record", "--settings", estate, "-o", file, "/check-writers prod").code == 0
    ended = hvops("ask", "--lab", file)
    assert ended.code == 1, ended
    assert ended.out.splitlines()[0] == json.loads(file.read_text())["title"]
    assert "When it was recorded" not in ended.out
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"title": "prod: writers well"}))
    assert hvops("ask", "--lab", file).out.endswith("When it was recorded, the answer was: prod: writers well\n")


def test_another_line_of_a_capture_is_answered_as_far_as_it_goes(hvops, estate, tmp_path):
    file = tmp_path / "capture.json"
    assert hvops("record", "--settings", estate, "-o", file, "/check-writers prod").code == 0
    cluster = next(iter(json.loads(file.read_text())["inventory"]["clusters"]))
    ended = hvops("ask", "--lab", file, f"/verify-kb-drift {cluster}")
    assert ended.code == 3, ended
    assert "Record it again" in " ".join(ended.out.split())


def test_what_is_no_capture_is_refused(hvops, tmp_path):
    file = tmp_path / "other.json"
    file.write_text("{}")
    ended = hvops("ask", "--lab", file)
    assert ended.code == 2
    assert "this is no capture" in " ".join(ended.err.split())


EARLIER = '[[earlier]]\nat = 2026-11-22T22:31:00Z\nline = "{}"\ndone = true\n\n[expect]'


@pytest.mark.long
def test_a_change_that_was_made_before_is_there(hvops, file):
    body = file("exit = 0")
    body.write_text(body.read_text().replace("[expect]", EARLIER.format("/drain-node br02")))
    ended = hvops("ask", "--lab", body, "/resume-node br02")
    assert ended.code == 0, ended
    assert ended.out.startswith("Preview: a plan for br02 is possible")  # it is paused


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/resume-node br02", "Nothing to resume"),  # it is not paused
        ("/resume-backup 48211", "was not done, but "),  # it has to wait for a second look
    ],
)
def test_a_change_that_was_not_possible_before_is_said_and_nothing_is_judged(hvops, file, line, says):
    body = file("exit = 0")
    body.write_text(body.read_text().replace("[expect]", EARLIER.format(line)))
    ended = hvops("ask", "--lab", body)
    assert (ended.code, ended.out) == (2, ""), ended
    assert ended.err.startswith(f"earlier: {line}")
    assert says in ended.err
