"""The stories: each file breaks a healthy practice estate in one known way, and says what people may do about it.

A story file's docstring is the sentence in the menu. It has `begin(world)`, `TOUR`, the steps that the demo leads people
through, and `RELEASES` where its nodes run another Windows than usual.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from lab.tour import Step
from lab.world.factory import make
from lab.world.world import Clock, World, utc_now


@cache
def _modules() -> dict[str, ModuleType]:
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return {name.replace("_", "-"): importlib.import_module(f"{__name__}.{name}") for name in sorted(found)}


def stories() -> dict[str, str]:
    """Name -> one sentence: {"stuck-writer": "…"}."""
    return {name: (module.__doc__ or "").strip() for name, module in _modules().items()}


def tour(name: str) -> tuple[Step, ...]:
    """The steps of a story's tour.

    Raises:
        KeyError: there is no such story.
    """
    found: tuple[Step, ...] = _modules()[name].TOUR
    return found


def begin(name: str, *, seed: int = 1, clock: Clock = utc_now) -> World:
    """A world at the start of that story.

    Raises:
        KeyError: there is no such story.
    """
    module = _modules()[name]
    world = make(seed=seed, releases=getattr(module, "RELEASES", None), clock=clock)
    world.story, world.sentence = name, stories()[name]
    module.begin(world)
    return world
