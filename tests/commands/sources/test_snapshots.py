"""A mounted snapshot is exposed, or is a volume of its own."""

from datetime import UTC, datetime

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
    found = (await look_at_snapshots(["hv03"], ask))["hv03"]
    assert [one.key for one in found] == ["local", "named", "volume"]
    assert found[0].made == datetime(2026, 11, 22, 22, 1, tzinfo=UTC)
    assert ask.rounds == 1


async def test_half_an_answer_is_none(scripted):
    silent = Unknown("hv03", "timed out", "no answer.")
    for half in (script([copy("a")], silent), script(silent, [])):
        assert await look_at_snapshots(["hv03"], scripted(half)) == {"hv03": silent}
