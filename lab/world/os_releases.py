"""The Windows and Linux releases that practice machines run, and the updates that come with each.

Build numbers and captions: Microsoft's release tables [mem]; that 2008 R2 carries no UBR value [mem].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ORDER = ("2008R2", "2012", "2012R2", "2016", "2019", "2022", "2025")


@dataclass(frozen=True, slots=True)
class Release:
    """One release. `key` is how class tables speak of it; `updates` are the KB numbers of a patched system."""

    key: str
    caption: str
    version: str  # "6.3.9600"
    revision: int | None = None  # UBR
    display: str = ""  # "21H2"; from 20H2 on
    release_id: str = ""  # "1809"
    service_pack: int = 0
    build_lab: str = ""
    family: Literal["windows", "linux"] = "windows"
    updates: tuple[str, ...] = ()

    @property
    def build(self) -> str:
        """The build number as text: "9600"."""
        return self.version.rpartition(".")[2]

    @property
    def major(self) -> int:
        """The first number of the version."""
        return int(self.version.split(".")[0])

    @property
    def minor(self) -> int:
        """The second number of the version."""
        return int(self.version.split(".")[1])

    def at_least(self, key: str) -> bool:
        """Whether this release is that Windows Server or a later one."""
        return self.family == "windows" and ORDER.index(self.key) >= ORDER.index(key)


def _kb(numbers: str) -> tuple[str, ...]:
    return tuple(f"KB{number}" for number in numbers.split())


# Updates of a 2008 R2 SP1 Hyper-V node at the end of 2011, oldest number first.
_UPDATES_2008R2 = _kb("""
    976902 976932 2425227 2476490 2479628 2479943 2483614 2484033 2487426 2488113 2491683 2492386 2496898 2503658
    2503665 2505438 2506014 2506212 2506223 2506928 2507618 2507938 2508272 2508429 2509553 2510531 2511250 2511455
    2512715 2515325 2518869 2520235 2522422 2524375 2525694 2525835 2529073 2530548 2532531 2533552 2533623 2534366
    2535512 2536275 2536276 2539635 2541014 2541119 2544521 2544893 2545698 2546250 2547666 2550886 2552040 2552343
    2555917 2556532 2559049 2560656 2562937 2563227 2563894 2564958 2567053 2567680 2570222 2570791 2570947 2572077
    2579686 2584146 2584577 2585542 2586448 2588516 2594415 2603229 2604114 2607047 2607576 2607712 2616676 2617657
    2618444 2618451 2619339 2619497 2620704 2620712 2633171 2633873 2633952 2636573 2639417 2639658 2640148
""")

RELEASES: dict[str, Release] = {
    release.key: release
    for release in (
        Release(
            "2008R2",
            "Microsoft Windows Server 2008 R2 Datacenter ",
            "6.1.7601",
            service_pack=1,
            build_lab="7601.win7sp1_gdr.110622-1506",
            updates=_UPDATES_2008R2,
        ),
        Release(
            "2012",
            "Microsoft Windows Server 2012 Datacenter",
            "6.2.9200",
            revision=25165,
            build_lab="9200.win8_rtm.120725-1247",
            updates=_kb("2693643 2751352 2756872 2761094 2764870 2768703 2770816 2771431 2777166 2845533 2889784"),
        ),
        Release(
            "2012R2",
            "Microsoft Windows Server 2012 R2 Datacenter",
            "6.3.9600",
            revision=20778,
            build_lab="9600.winblue_ltsb_escrow.230117-1736",
            updates=_kb(
                "2843630 2862152 2868626 2883200 2887595 2894852 2903939 2911106 2919355 2919394 2928680 2934520 "
                "2938066 2939087 2954879 2959626 2965500 2967917 2989930 3000850 3003057 3012702 3021910 3042058 "
                "3044374 3063843 3102429 3172614 3172729 3173424 4033369 4486105 5022508 5022899"
            ),
        ),
        Release(
            "2016",
            "Microsoft Windows Server 2016 Datacenter",
            "10.0.14393",
            revision=5717,
            release_id="1607",
            build_lab="14393.5717.amd64fre.rs1_release.230208-1744",
            updates=_kb("3192137 3211320 4049065 4132216 4486129 4589210 5012170 5022838 5023788"),
        ),
        Release(
            "2019",
            "Microsoft Windows Server 2019 Datacenter",
            "10.0.17763",
            revision=4010,
            release_id="1809",
            build_lab="17763.1.amd64fre.rs5_release.180914-1434",
            updates=_kb("4470502 4486153 4512577 4589208 5005112 5012170 5022511 5022840"),
        ),
        Release(
            "2022",
            "Microsoft Windows Server 2022 Datacenter",
            "10.0.20348",
            revision=1547,
            release_id="2009",
            display="21H2",
            build_lab="20348.1.amd64fre.fe_release.210507-1500",
            updates=_kb("5008882 5010523 5012170 5022507 5022842"),
        ),
        Release(
            "2025",
            "Microsoft Windows Server 2025 Datacenter",
            "10.0.26100",
            revision=2894,
            release_id="2009",
            display="24H2",
            build_lab="26100.1.amd64fre.ge_release.240331-1435",
            updates=_kb("5043080 5049622 5050009"),
        ),
    )
}

LINUX = Release("linux", "Ubuntu", "5.4.0", build_lab="5.4.0-139-generic", family="linux")
