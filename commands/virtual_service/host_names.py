"""What people type of a virtual service: its name in words, and host names."""

from __future__ import annotations

from typing import Self

from bot.api.web import is_name, split_port

_MOST = 4


class Vs(str):
    """A word of a virtual service: of its nickname, its index, its address or address:port."""

    __slots__ = ()
    label = "Virtual service"
    wants = "its nickname, index or address"
    names = "virtual service"


class HostNames(tuple[str, ...]):
    """Host names as a check may ask for them: "www.shop.lab", or several with commas."""

    __slots__ = ()
    label = "Host names to ask for"
    wants = "a host name such as www.shop.lab, or up to four with commas"

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read them. Raises ValueError."""
        names = [name for name in word.casefold().split(",") if name]
        if not names or len(names) > _MOST or not all(is_name(split_port(name)[0]) for name in names):
            raise ValueError(word)
        return cls(dict.fromkeys(names))

    def __str__(self) -> str:
        """As people write them; none is how the usage line names one."""
        return ",".join(self) or "NAME"


NO_HOSTS = HostNames()
