"""`/find-full-guests` from scripted replies to the whole report."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.api.arguments import Percent, Size, Target
from bot.api.facts import Unknown
from bot.api.plan import GateText
from bot.api.report import Bar, Chart, Finding, Healthy, Remedy, Severity
from commands.diagnostics.find_full_guests import COMMAND, Args
from commands.guest_space.facts import GuestSpaceFacts, find_guest_space, short_of_space
from commands.guest_space.gates import has_room
from commands.sources.guests import Guest, HostedGuest, Power
from commands.sources.kvp import KvpInfo
from commands.sources.volumes import Room, Volume, Volumes, guest_volumes
from tests.support.counted import CountedName

GIB, MIB = 2**30, 2**20
NOW = datetime(2026, 11, 22, 22, 41, tzinfo=UTC)
PROD = Target("prod", "cluster", "prod")
DISKS = "Win32_DiskPartition"
VOLUMES, VM_ID, FIRMWARE = "Win32_Volume", "Parameters", "Win32_ComputerSystemProduct"
USUAL = "Old SQL Server backup files, leftover installers, application logs, growing log and tempdb files."
HOST, KVP, BIOS = "Msvm_ComputerSystem", "Msvm_KvpExchangeComponent", "Msvm_VirtualSystemSettingData"
VMMS = "wevtutil query events Microsoft-Windows-Hyper-V-VMMS-Admin"


@pytest.fixture
def find(scripted):
    async def run(script, silent=None, target=PROD, **options):
        run.ask = scripted(script, silent)
        args = Args(target, **options)
        return COMMAND.evaluate(args, await COMMAND.collect(args, run.ask))

    return run


def reasons(report):
    return {one.target: one.kind for one in report.unanswered}


async def test_enough_room_everywhere(find, make):
    report = await find(make.space(2))
    assert report.title == report.summary == "prod: no full guest among 12"
    assert (report.of, report.asked, report.answered) == ("guests", 12, 12)
    assert report.findings == report.unanswered == ()
    assert report.fine == (Healthy("OK", ("12 guests",), "1 GB and 10 % or more free on every volume"),)
    assert report.background == ("12 guests: 12 answered, 0 unknown.",)
    assert report.remedies == (Remedy("Check Writers", "/check-writers prod"),)
    assert find.ask.rounds == 3


async def test_the_full_guest_whole(find, make):
    named = [make.event(10102, "2026-11-22T22:14:37Z", VmName="test-tfs-01", VmId=make.vm_id(300))]
    report = await find(
        make.space(
            2,
            test_tfs_01={VOLUMES: [make.volume("C:", 0)]},
            vm_200={VOLUMES: [make.volume("C:", 40 * GIB), make.volume("L:", 412 * MIB)]},
            vm_400={VOLUMES: [make.volume("C:", 820 * MIB)]},
            vm_101={VOLUMES: [make.volume("C:", 40 * GIB), make.volume("D:", 21 * GIB, 350 * GIB)]},
            hv03={VMMS: named},
        )
    )
    assert report.title == "prod: test-tfs-01 has 0 MB free on C:"
    assert report.summary == "prod: test-tfs-01 C: 0 MB free; 2 under 1 GB; 1 under 10 %"
    assert report.findings == (
        Finding(
            Severity.FAULT,
            "FULL",
            "test-tfs-01",
            "on hv03 · C: 0 MB free of 80 GB",
            (
                ("Because", "Named by event 10102 on hv03 at 22:14 UTC."),
                ("By hand", "Free 1 GB or more on C:, then Check Again. 8 GB to 12 GB (10 to 15 %) leaves headroom."),
                ("Look for", USUAL),
            ),
        ),
        Finding(Severity.WARNING, "LOW", "2 volumes", "vm-200 L: 412 MB · vm-400 C: 820 MB"),
        Finding(Severity.WARNING, "TIGHT", "1 volume", "vm-101 D: 21 GB (6 %)"),
    )
    assert report.chart == Chart(
        "Free GB, worst 10 volumes",
        "GB",
        (
            Bar("test-tfs-01 C:", 0),
            Bar("vm-200 L:", 4),
            Bar("vm-400 C:", 8),
            Bar("vm-101 D:", 210),
            Bar("vm-100 C:", 400),
            Bar("vm-101 C:", 400),
            Bar("vm-200 C:", 400),
            Bar("vm-201 C:", 400),
            Bar("vm-301 C:", 400),
            Bar("vm-401 C:", 400),
        ),
        (("minimum", 10),),
    )
    assert [one.name for one in report.table.columns] == ["Guest", "Volume", "Free GB", "Free %", "Node"]
    assert report.table.rows[:4] == (
        ("test-tfs-01", "C:", "0.0", "0", "hv03"),
        ("vm-200", "L:", "0.4", "0", "hv02"),
        ("vm-400", "C:", "0.8", "1", "hv04"),
        ("vm-101", "D:", "21.0", "6", "hv01"),
    )
    assert report.fine[0].targets == ("8 guests",)


async def test_once_there_is_room_it_says_so(find, make):
    report = await find(make.space(1, test_tfs_01={VOLUMES: [make.volume("C:", 8 * GIB)]}))
    assert report.title == "prod: no full guest among 6"


@pytest.mark.parametrize(
    ("free", "words"),
    [
        (320 * MIB - 1, ["FULL"]),
        (320 * MIB, ["LOW"]),
        (GIB - 1, ["LOW"]),
        (GIB, ["TIGHT"]),
        (8 * GIB - 1, ["TIGHT"]),
        (8 * GIB, []),
    ],
)
async def test_thresholds(find, make, free, words):
    report = await find(make.space(1, vm_100={VOLUMES: [make.volume("C:", free)]}))
    assert [one.status for one in report.findings] == words


async def test_thresholds_can_be_chosen(find, make):
    report = await find(make.space(1), free=Size.parse("50GB"), percent=Percent.parse("60"))
    assert report.title == "prod: test-tfs-01 has 40 GB free on C:, 5 more guests low"
    assert report.chart.thresholds == (("minimum", 500),)
    strict = await find(make.space(1), percent=Percent.parse("60"))
    assert strict.title == "prod: test-tfs-01 has 50 % free on C:"
    assert strict.summary == "prod: 6 under 60 %"


async def test_reserved_partitions_are_noted_and_decide_nothing(find, make):
    def reserved(free):
        return [make.volume("C:", 40 * GIB), make.volume("", free, 350 * MIB, Label="System Reserved")]

    report = await find(make.space(1, vm_100={VOLUMES: reserved(20 * MIB)}, vm_200={VOLUMES: reserved(40 * MIB)}))
    assert report.title == report.summary == "prod: no full guest among 6"
    assert report.findings == ()
    assert report.fine == (Healthy("OK", ("6 guests",), "1 GB and 10 % or more free on every volume"),)
    assert report.background[1:] == (
        "Partitions without a letter or a mount point (system, EFI, recovery) are not counted.",
    )
    assert report.notes == (
        "vm-100 has 20 MB free on its System Reserved partition (350 MB). Few backups read it; nothing on it can be freed.",
    )
    assert {bar.label for bar in report.chart.bars} == {
        f"{one} C:" for one in ("test-tfs-01", *(f"vm-{n}00" for n in "12456"))
    }
    assert [row[1] for row in report.table.rows][-1] == "System Reserved partition (350 MB)"


# What Setup and image tools lay out beside C: (Microsoft's "hard drives and partitions" pages [doc]; the sizes of 2019 and
# later also seen in vmware/packer-examples-for-vsphere #1043 and BladeFireLight/WindowsImageTools #3). MB; the share that
# the WinRE image or the boot files leave free is not ours to choose, so every share is tried.
LAYOUTS = {
    "2012 R2, BIOS": (("System Reserved", "NTFS", 350),),
    "2012 R2, UEFI": (("Recovery", "NTFS", 300), ("", "FAT32", 99)),
    "2016, BIOS": (("System Reserved", "NTFS", 500),),
    "2016, UEFI": (("Recovery", "NTFS", 450), ("", "FAT32", 99)),
    "2019, BIOS": (("System Reserved", "NTFS", 549),),
    "2019, UEFI": (("Recovery", "NTFS", 499), ("", "FAT32", 99)),
    "2022, UEFI": (("", "FAT32", 100), ("", "NTFS", 524)),
    "2025, UEFI": (("", "FAT32", 100), ("", "NTFS", 682), ("Recovery", "NTFS", 550)),
    "enlarged for KB5034441": (("", "FAT32", 260), ("", "NTFS", 990), ("Recovery", "NTFS", 1024)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@given(shares=st.lists(st.integers(0, 100), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_no_default_layout_of_windows_is_a_full_guest(layout, shares):
    rows = [{"Name": "C:\\", "DriveLetter": "C:", "FileSystem": "NTFS", "Capacity": 80 * GIB, "FreeSpace": 40 * GIB}]
    for number, (label, system, size) in enumerate(LAYOUTS[layout]):
        free = size * MIB * shares[number] // 100
        name = f"\\\\?\\Volume{{{number}}}\\"
        rows.append({"Name": name, "Label": label, "FileSystem": system, "Capacity": size * MIB, "FreeSpace": free})
    hosted = HostedGuest(Guest("V", "app-04", Power.RUNNING), "hv01", KvpInfo("app-04.corp.example"), "")
    facts = GuestSpaceFacts(NOW, (hosted,), {"V": guest_volumes(hosted).read(rows)})
    report = COMMAND.evaluate(Args(PROD), facts)
    assert (report.title, report.findings) == ("prod: no full guest among 1", ())
    assert [bar.label for bar in report.chart.bars] == ["app-04 C:"]
    assert short_of_space(facts) == ()
    assert has_room(GateText("There is room", "There is none", "It is not known"), facts).passed


STORAGE, COPIES = "Win32_ShadowStorage", "Win32_ShadowCopy"
DEVICE = "\\\\?\\Volume{C0}\\"


def limited(make, used, limit, **over):
    """C: half empty, with a limit to its shadow copies; bytes."""
    volume = {"DeviceID": DEVICE.lower()}
    row = {
        "Volume": volume,
        "DiffVolume": volume,
        "AllocatedSpace": str(used),
        "UsedSpace": str(used),
        "MaxSpace": str(limit),
    }
    return {VOLUMES: [make.volume("C:", 40 * GIB, DeviceID=DEVICE)], STORAGE: [row], COPIES: []} | over


async def test_a_limit_of_shadow_storage_is_told_on_a_half_empty_disk(find, make):
    report = await find(make.space(1, vm_100=limited(make, 2 * GIB, 2 * GIB)))
    assert report.title == "prod: vm-100 has reached the limit of its shadow storage on C:"
    assert report.summary == "prod: 1 at a limit of shadow storage"
    (finding,) = report.findings
    assert (finding.status, finding.summary) == ("SHADOW LIMIT", "vm-100 C: 2 GB of 2 GB (40 GB free on the volume)")
    assert "vssadmin resize shadowstorage" in dict(finding.lines)["By hand"]


@pytest.mark.parametrize(
    ("used", "limit", "is_told"),
    [
        (0, 320 * MIB - 1, True),
        (0, 320 * MIB, False),
        (2 * GIB, 2 * GIB + 320 * MIB - 1, True),
        (2 * GIB, 2 * GIB + 320 * MIB, False),
        (2 * GIB, 2**64 - 1, False),  # UNBOUNDED
        (2 * GIB, 0, False),  # nobody says that it is a limit
    ],
)
async def test_where_a_limit_is_reached(find, make, used, limit, is_told):
    report = await find(make.space(1, vm_100=limited(make, used, limit)))
    assert [one.status for one in report.findings] == ["SHADOW LIMIT"] * is_told


async def test_previous_versions_give_way(find, make):
    """A file server's limit is always reached: VSS deletes the oldest version where it needs room."""
    version = {"VolumeName": DEVICE, "Persistent": "true", "ClientAccessible": "true"}
    assert (await find(make.space(1, vm_100=limited(make, 2 * GIB, 2 * GIB, **{COPIES: [version]})))).findings == ()
    tiny = await find(make.space(1, vm_100=limited(make, 100 * MIB, 200 * MIB, **{COPIES: [version]})))
    assert [one.status for one in tiny.findings] == ["SHADOW LIMIT"]
    backup = {"VolumeName": DEVICE, "Persistent": "true", "ClientAccessible": "false"}
    told = await find(make.space(1, vm_100=limited(make, 2 * GIB, 2 * GIB, **{COPIES: [backup]})))
    assert [one.status for one in told.findings] == ["SHADOW LIMIT"]


@pytest.mark.parametrize("what", [STORAGE, COPIES])
async def test_a_limit_that_is_not_known_is_said_and_counts_for_nothing(find, make, what):
    silent = {what: Unknown("vm-100", "timed out", "no answer.")}
    report = await find(make.space(1, vm_100=limited(make, 2 * GIB, 2 * GIB, **silent)))
    assert report.findings == ()
    assert "The limits of shadow storage are not known of vm-100." in report.notes


async def test_who_was_not_asked_and_why(find, make):
    script = make.space(2)
    script[("hv01", HOST)][1]["EnabledState"] = "3"
    script[("hv01", HOST)][2]["EnabledState"] = "6"
    script[("hv02", HOST)][1]["EnabledState"] = "9"
    script[("hv02", KVP)] = [
        {"SystemName": make.vm_id(201), "GuestIntrinsicExchangeItems": make.kvp("vm-201", "Ubuntu 22.04")}
    ]
    script[("hv04", KVP)][0]["GuestIntrinsicExchangeItems"] = make.kvp("vm-400", "FreeBSD")
    report = await find(script)
    assert report.background[:2] == (
        "12 guests: 7 answered, 0 unknown, 1 Linux, 1 another system, 1 off, 1 saved, 1 paused.",
        "Not asked: vm-201 Linux; vm-400 another system; vm-100 off; vm-101 saved; vm-200 paused.",
    )
    asked = {one.on for one in find.ask.asked if getattr(one, "cls", "") == VOLUMES}
    assert asked.isdisjoint({"vm-100", "vm-101", "vm-200", "vm-201", "vm-400"})


async def test_unknown_guests_with_their_reasons(find, make):
    script = make.space(2, vm_401={VM_ID: [{"VirtualMachineId": make.vm_id(999)}]})
    script[("hv01", KVP)] = [
        {"SystemName": make.vm_id(101), "GuestIntrinsicExchangeItems": make.kvp("vm-101", fqdn="")}
    ]
    script[("vm-201", VOLUMES)] = [make.volume("C:", GIB, 1)]
    script[("vm-200", VOLUMES)] = Unknown("vm-200", "not allowed", "vm-200.evil.example is in no guest domain.")
    silent = {"vm-400": "login refused", "vm-500": "timed out"}
    report = await find(script, silent)
    assert reasons(report) == {
        "vm-100": "no name reported",
        "vm-101": "no name reported",
        "vm-200": "not allowed",
        "vm-201": "bad reply",
        "vm-400": "login refused",
        "vm-401": "wrong machine",
        "vm-500": "timed out",
    }
    assert report.title == "prod: no full guest among 5, 7 unknown"
    assert (report.asked, report.answered) == (12, 5)
    assert ("vm-400", "unknown: login refused", "", "", "hv04") in report.table.rows
    assert report.has_unknowns
    assert not report.has_findings


async def test_another_machine_under_that_name_does_not_count_even_when_full(find, make):
    other = {VM_ID: [{"VirtualMachineId": make.vm_id(999)}], VOLUMES: [make.volume("C:", 0)]}
    report = await find(make.space(1, vm_100=other))
    assert report.findings == ()
    assert reasons(report) == {"vm-100": "wrong machine"}


@pytest.mark.parametrize(
    ("uuid", "kind"),
    [
        ("00000064-0000-4000-8000-000000000000", None),
        ("64000000-0000-0040-8000-000000000000", None),
        ("00000065-0000-4000-8000-000000000000", "wrong machine"),
        ("", "not proven"),
        ("00000000-0000-0000-0000-000000000000", "not proven"),
    ],
    ids=["same", "other byte order", "another", "none", "blank"],
)
async def test_guests_without_a_vm_id_are_known_by_their_firmware(find, make, uuid, kind):
    old = {VM_ID: [{"VirtualMachineId": None}], FIRMWARE: [{"Name": "Virtual Machine", "UUID": uuid}]}
    report = await find(make.space(1, vm_100=old))
    assert reasons(report).get("vm-100") == kind
    assert find.ask.rounds == 4


async def test_a_volume_that_reports_no_size_makes_its_guest_unknown(find, make):
    locked = make.volume("E:", 0, Capacity=None, FreeSpace=None)
    report = await find(make.space(1, vm_100={VOLUMES: [make.volume("C:", 0), locked]}))
    assert report.findings[0].target == "vm-100"
    assert reasons(report) == {"vm-100": "no size reported"}
    assert (report.asked, report.answered) == (6, 5)


async def test_a_silent_host_leaves_its_guests_unknown_by_name(find, make):
    report = await find(make.space(2), {"hv05": "timed out"})
    (silent,) = report.unanswered
    assert silent.target == "hv05"
    assert silent.why.startswith("no answer in 20 s. Not known: its 11 guests: vm-500, vm-501")
    assert report.title == "prod: no full guest among 10, 11 unknown"
    assert (report.asked, report.answered) == (21, 10)


async def test_a_host_that_tells_half_gives_the_reason_to_each_guest(find, make):
    script = make.space(2)
    script[("hv02", KVP)] = Unknown("hv02", "refused", "the provider failed.")
    report = await find(script)
    assert reasons(report) == {"hv02": "refused", "vm-200": "no name known", "vm-201": "no name known"}
    assert "the provider failed." in report.unanswered[1].why


async def test_a_cluster_that_does_not_answer(find, make):
    report = await find(make.space(1), {"prod": "timed out"})
    assert report.title == "prod: no guest said how full it is"
    assert reasons(report) == {"prod": "timed out"}
    assert (report.chart, report.table) == (None, None)


async def test_one_node_of_a_cluster(find, make):
    report = await find(
        make.space(2, test_tfs_01={VOLUMES: [make.volume("C:", 0)]}), target=Target("HV03", "host", "prod")
    )
    assert report.title == "HV03: test-tfs-01 has 0 MB free on C:"
    assert report.background[0] == "2 guests: 2 answered, 0 unknown."


async def test_a_2008_r2_host_that_stands_alone(find, make):
    script = make.space(1) | {
        ("old01", "Win32_OperatingSystem"): [{"BuildNumber": "7601"}],
        ("old01", HOST): make.guest_rows("hv03", count=1),
        ("old01", KVP): [{"SystemName": make.vm_id(300), "GuestIntrinsicExchangeItems": make.kvp("test-tfs-01")}],
        ("old01", BIOS): [{"SystemName": make.vm_id(300), "BIOSGUID": make.vm_id(300)}],
    }
    report = await find(script, target=Target("old01", "host"))
    assert report.title == "old01: no full guest among 1"
    namespaces = {one.namespace for one in find.ask.asked if getattr(one, "cls", "").startswith("Msvm")}
    assert namespaces == {"root/virtualization"}


async def test_many_full_guests_share_a_finding_and_a_chart_of_ten(find, make):
    full = {
        f"vm_{node}{number:02}": {VOLUMES: [make.volume("C:", number * MIB)]}
        for node in (1, 2, 4)
        for number in range(11)
    }
    report = await find(make.space(11, **full))
    assert report.title == "prod: vm-100 has 0 MB free on C:, 32 more guests full"
    assert len(report.findings) == 9
    assert report.findings[-1].target == "25 more guests"
    assert len(report.chart.bars) == 10
    assert len(report.table.rows) == 66


async def test_an_event_that_names_another_guest_is_not_pinned_on_this_one(find, make):
    named = [make.event(10102, "2026-11-22T22:14:37Z", VmName="vm-301", VmId=make.vm_id(301))]
    report = await find(make.space(2, test_tfs_01={VOLUMES: [make.volume("C:", 0)]}, hv03={VMMS: named}))
    assert [name for name, _ in report.findings[0].lines] == ["By hand", "Look for"]


async def test_long_and_equal_names_keep_their_own_bars(find, make):
    script = make.space(2)
    for row in script[("hv01", HOST)][1:]:
        row["ElementName"] = "a-very-long-guest-name-of-a-team"
        script[("a-very-long-guest-name-of-a-team", VM_ID)] = [{"VirtualMachineId": row["Name"]}]
    script[("a-very-long-guest-name-of-a-team", VOLUMES)] = [make.volume("C:", 0)]
    script[("a-very-long-guest-name-of-a-team", FIRMWARE)] = [{"UUID": ""}]
    report = await find(script)
    labels = [bar.label for bar in report.chart.bars]
    assert all(len(label) <= 20 for label in labels)
    assert len(labels) == len(set(labels))


NAMES = st.text(min_size=1, max_size=60)
SIZES = st.tuples(st.integers(1, 4 * 2**40), st.integers(0, 1000))


@given(
    guests=st.lists(st.tuples(NAMES, st.lists(SIZES, min_size=1, max_size=4)), max_size=15),
    least=st.integers(0, 2**40),
    percent=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_any_estate_makes_a_lawful_report(guests, least, percent):
    hosted, space = [], {}
    for number, (name, sizes) in enumerate(guests):
        key = f"{number:08X}-0000-4000-8000-000000000000"
        hosted.append(HostedGuest(Guest(key, name, Power.RUNNING), "hv01", KvpInfo(f"g{number}.corp.example"), ""))
        volumes = (Volume("C:", reserved=False, capacity=one, free=one * share // 1000) for one, share in sizes)
        space[key] = Volumes(tuple(volumes))
    report = COMMAND.evaluate(Args(PROD, Size(least), Percent(percent)), GuestSpaceFacts(NOW, tuple(hosted), space))
    labels = [bar.label for bar in report.chart.bars] if report.chart else []
    every = [one for part in space.values() for one in part.judged]
    short = [one for one in every if one.room(least, percent) is not Room.ENOUGH]
    assert len(report.title) <= 150
    assert len(labels) == len(set(labels)) == min(10, len(every))
    assert all(0 < len(label) <= 20 for label in labels)
    assert len(report.table.rows if report.table else ()) == len(every)
    assert report.has_findings == bool(short)
    assert (report.answered, report.asked) == (len(guests), len(guests))


def test_two_guests_of_one_name_are_told_apart_wherever_they_are_named():
    full, silent = "D93C77E4-9D6E-51C4-8B1A-79D5CC8E23B8", "BC05E548-4076-5B82-84E3-031E345A2444"
    hosted = [HostedGuest(Guest(key, "app", Power.RUNNING), "hv03", KvpInfo("app.corp"), "") for key in (full, silent)]
    volumes = Volumes((Volume("C:", reserved=False, capacity=80 * GIB, free=0),))
    space = {full: volumes, silent: Unknown("app", "timed out", "no answer.")}
    facts = GuestSpaceFacts(NOW, tuple(hosted), space)
    report = COMMAND.evaluate(Args(PROD), facts)
    assert report.title == "prod: app (D93C77E4) has 0 MB free on C:"
    assert [one.target for one in report.findings] == ["app (D93C77E4)"]
    assert [one.target for one in report.unanswered] == ["app (BC05E548)"]
    assert [row[0] for row in report.table.rows] == ["app (D93C77E4)", "app (BC05E548)"]
    assert short_of_space(facts) == ("app (D93C77E4) C:",)


def partitions(*words):
    return [{"DiskIndex": str(number), "Type": word} for number, word in enumerate(words)]


@pytest.mark.parametrize(
    "word", ["Logical Disk Manager", "GPT: Logical Disk Manager Data", "gpt: logical disk manager metadata"]
)
async def test_a_guest_with_a_dynamic_disk_is_named_however_much_is_free(find, make, word):
    report = await find(make.space(2, vm_200={DISKS: partitions("GPT: Basic Data", word)}))
    (finding,) = report.findings
    assert (finding.severity, finding.status, finding.target) == (Severity.WARNING, "NO ONLINE BACKUP", "vm-200")
    assert finding.summary == "on hv02 · disk 1 is dynamic"
    assert "saves its state first" in dict(finding.lines)["Means"]
    assert "basic disk" in dict(finding.lines)["By hand"]
    assert report.title == "prod: no full guest among 12, 1 not backed up online"


@pytest.mark.parametrize("file_system", ["FAT", "FAT32", "exFAT"])
@pytest.mark.parametrize("path", ["E:", "C:\\Scans\\"])
async def test_a_guest_with_a_volume_without_snapshots_is_named(find, make, file_system, path):
    volumes = [make.volume("C:", 40 * GIB), make.volume("", 20 * GIB, FileSystem=file_system, Name=path)]
    report = await find(make.space(1, vm_200={VOLUMES: volumes}))
    (finding,) = report.findings
    shown = path.rstrip("\\")
    assert (finding.status, finding.summary) == ("NO ONLINE BACKUP", f"on hv02 · {shown} is {file_system}")
    assert "NTFS" in dict(finding.lines)["By hand"]


@pytest.mark.parametrize("file_system", ["NTFS", "ReFS", "CSVFS", ""])
async def test_file_systems_with_snapshots_and_unknown_ones_are_not(find, make, file_system):
    report = await find(make.space(1, vm_200={VOLUMES: [make.volume("E:", 40 * GIB, FileSystem=file_system)]}))
    assert report.findings == ()


async def test_the_efi_partition_of_every_guest_of_generation_2_is_not(find, make):
    efi = make.volume("", 68 * MIB, 100 * MIB, FileSystem="FAT32", Label="SYSTEM")
    report = await find(make.space(1, vm_200={VOLUMES: [make.volume("C:", 40 * GIB), efi]}))
    assert report.findings == ()


@pytest.mark.parametrize(
    "said",
    [
        [{"DiskIndex": "0", "Type": "Installierbares Dateisystem"}],
        [],
        Unknown("vm-200", "timed out", "no answer in 20 s."),
    ],
)
async def test_disks_in_another_language_or_without_an_answer_are_not_known(find, make, said):
    report = await find(make.space(1, vm_200={DISKS: said}))
    assert report.findings == ()
    assert report.notes[-1] == "Whether a disk is dynamic is not known of 1 guest: vm-200."
    assert report.answered == 6


async def test_disks_of_another_machine_accuse_nobody(find, make):
    other = {"Parameters": [{"VirtualMachineId": make.vm_id(999)}], DISKS: partitions("Logical Disk Manager")}
    report = await find(make.space(1, vm_200=other))
    assert reasons(report) == {"vm-200": "wrong machine"}
    assert report.findings == ()


async def test_many_guests_without_an_online_backup_share_a_finding(find, make):
    dynamic = {
        f"vm_{node}0{number}": {DISKS: partitions("Logical Disk Manager")}
        for node in (1, 2, 4, 5, 6)
        for number in (0, 1)
    }
    report = await find(make.space(2, **dynamic))
    assert [finding.target for finding in report.findings][-1] == "2 more guests"
    assert len(report.findings) == 9


async def test_what_usually_fills_a_guest_is_said_once_and_never_of_a_healthy_one(find, make):
    several = {f"vm_{number}01": {VOLUMES: [make.volume("C:", 0)]} for number in range(1, 4)}
    said = [
        [text for label, text in one.lines if label == "Look for"]
        for one in (await find(make.space(3, **several))).findings
    ]
    assert said == [[USUAL], [], []]
    low = await find(make.space(2, vm_101={VOLUMES: [make.volume("C:", 820 * MIB)]}))
    assert low.findings[0].lines == (("Look for", USUAL),)
    tight = await find(make.space(2, vm_101={VOLUMES: [make.volume("D:", 21 * GIB, 350 * GIB)]}))
    assert tight.findings[0].status == "TIGHT"
    assert tight.findings[0].lines == ()


@pytest.mark.parametrize(
    ("volumes", "by_hand"),
    [
        ([("C:", 8)], "Free 1 GB or more on C:, then Check Again."),  # a tenth is less than what helps now
        (
            [("C:", 100), ("D:", 200)],
            "Free 1 GB or more on C:, D:, then Check Again. 10 to 15 % of each leaves headroom.",
        ),
    ],
)
async def test_headroom_is_advised_where_it_is_more_than_what_helps_now(find, make, volumes, by_hand):
    own = [make.volume(name, 0, size * GIB) for name, size in volumes]
    report = await find(make.space(2, vm_101={VOLUMES: own}))
    assert dict(report.findings[0].lines)["By hand"] == by_hand


async def test_of_many_silent_hosts_none_is_compared_with_each_role(scripted):
    hosts, roles = [f"hv{at:02}" for at in range(1, 41)], 400
    groups = [
        {"Name": f"vm-{at}", "OwnerNode": CountedName(hosts[at % 40].upper()), "GroupType": "111", "State": "0"}
        for at in range(roles)
    ]
    nodes = [{"Name": name, "State": "0", "BuildNumber": "9600"} for name in hosts]
    ask = scripted(
        {("prod", "MSCluster_Node"): nodes, ("prod", "MSCluster_ResourceGroup"): groups},
        dict.fromkeys(hosts, "timed out"),
    )
    CountedName.times = 0
    facts = await find_guest_space(Target("prod", "cluster", "prod"), ask)
    assert CountedName.times <= 2 * roles
    assert facts.unseen[:2] == ("vm-0", "vm-40")
    assert len(facts.unseen) == roles
    assert "its 10 guests: vm-0, vm-40, vm-80" in facts.silent_hosts[0].why
