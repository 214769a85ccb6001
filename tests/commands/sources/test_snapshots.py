"""A mounted snapshot is exposed, or is a volume of its own; an automatic one that is not persistent is held by a program."""

from datetime import UTC, datetime

import pytest

from bot.api.facts import Unknown
from commands.sources.snapshots import look_at_snapshots

OWN = "\\\\?\\Volume{aaaa}"


def copy(key, device="\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1", **over):
    return {
        "ID": key,
        "InstallDate": "2026-11-22T22:01:00Z",
        "DeviceObject": device,
        "ExposedName": None,
        "ExposedLocally": "false",
        "ExposedRemotely": "false",
    } | over


def script(copies, volumes):
    return {("hv03", "Win32_ShadowCopy"): copies, ("hv03", "Win32_Volume"): volumes}


async def test_only_mounted_ones_count(scripted):
    copies = [
        copy("plain"),
        copy("local", ExposedLocally="true"),
        copy("named", ExposedName="S:\\"),
        copy("volume", OWN),
    ]
    ask = scripted(script(copies, [{"DeviceID": f"{OWN.upper()}\\", "Name": "X:\\"}]))
    answer = (await look_at_snapshots(["hv03"], ask))["hv03"]
    assert [one.key for one in answer.copies] == ["plain", "local", "named", "volume"]
    found = answer.mounted
    assert [one.key for one in found] == ["local", "named", "volume"]
    assert found[0].made == datetime(2026, 11, 22, 22, 1, tzinfo=UTC)
    assert ask.rounds == 1


async def test_without_the_volumes_the_copies_are_known_and_not_what_is_mounted(scripted):
    silent = Unknown("hv03", "timed out", "no answer.")
    half = (await look_at_snapshots(["hv03"], scripted(script([copy("a")], silent))))["hv03"]
    assert ([one.key for one in half.copies], half.mounted) == (["a"], silent)
    none = (await look_at_snapshots(["hv03"], scripted(script(silent, []))))["hv03"]
    assert (none.copies, none.mounted) == (silent, silent)


BEFORE, MADE, AFTER = (datetime(2026, 11, 22, 22, minute, tzinfo=UTC) for minute in (0, 1, 2))


@pytest.mark.parametrize(
    ("attributes", "since", "expected"),
    [
        (("false", "true", "false"), None, True),  # the context of a backup
        (("false", None, None), AFTER, True),
        (("false", "false", "false"), None, None),  # it outlives its program, and not a restart
        (("true", "false", "false"), None, False),
        (("true", "false", "false"), AFTER, False),  # older than the first look
        (("true", "false", "false"), BEFORE, None),  # younger
        (("true", "false", "true", "true"), BEFORE, False),  # Previous Versions come on a schedule, without the writers
        (("true", "false", "true", "false"), BEFORE, None),  # a program made it with them, and kept it for people
        (("true", "false", "true", "false"), AFTER, False),
        (("true", "false", "true", None), BEFORE, None),
        (("true", "false", "false", "true"), BEFORE, None),
        ((None, None, None), None, None),
    ],
)
async def test_what_a_shadow_copy_says_of_a_backup(scripted, attributes, since, expected):
    persistent, automatic, for_clients, *more = attributes
    kept = {"true": "false", "false": "true"}.get(automatic)
    row = copy("a", Persistent=persistent, NoAutoRelease=kept, ClientAccessible=for_clients, NoWriters=(*more, None)[0])
    answer = (await look_at_snapshots(["hv03"], scripted(script([row], []))))["hv03"]
    assert answer.copies[0].is_of_a_backup(since) is expected


@pytest.mark.parametrize(
    ("for_clients", "made", "recent", "expected"),
    [
        (
            "false",
            "2026-11-22T22:01:00Z",
            BEFORE,
            None,
        ),  # of what a writer waits for that nobody saw wait before, perhaps
        ("false", "2026-11-22T22:01:00Z", AFTER, False),
        ("false", None, AFTER, None),
        ("true", "2026-11-22T22:01:00Z", BEFORE, False),  # of the schedule
        ("false", "2026-11-22T22:01:00Z", None, False),  # no writer waits
    ],
)
async def test_without_a_first_look_a_recent_copy_decides_nothing(scripted, for_clients, made, recent, expected):
    kept = dict.fromkeys(("Persistent", "NoAutoRelease", "NoWriters"), "true")
    row = copy("a", **kept, ClientAccessible=for_clients, InstallDate=made)
    answer = (await look_at_snapshots(["hv03"], scripted(script([row], []))))["hv03"]
    assert answer.copies[0].is_of_a_backup(recent=recent) is expected
