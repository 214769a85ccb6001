"""What a command knows: three values, told apart by type.

Known    somebody answered, and when
Unknown  nobody did, why, and what a person can do about it: never fine, never different
Guess    concluded from something else; it may be shown, and nothing may depend on it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Known(Generic[T_co]):
    """What a target answered. The times are the bot's own, UTC: between the two the target read what it told."""

    value: T_co
    asked: datetime
    answered: datetime


@dataclass(frozen=True, slots=True)
class Unknown:
    """What a target did not answer."""

    target: str
    kind: str  # "timed out", "login refused", "login not checked", "unreachable", "refused", "absent", "bad reply", "too busy",
    # "connection refused", "not allowed", or "not asked" and "out of time": hvops' own way or time failed,
    # which says nothing of the target; of a name "not in the inventory", and "not known" while a cluster that could own it is silent
    why: str  # a sentence
    remedy: str = ""  # what a person can do about it


@dataclass(frozen=True, slots=True)
class Guess(Generic[T_co]):
    """What was concluded and not asked. `basis` says from what: "the newest sample in the ledger"."""

    value: T_co
    basis: str


Fact: TypeAlias = Known[T] | Unknown


def value_of(fact: Known[T] | Unknown) -> T | Unknown:
    """The value alone, for whom the times do not matter."""
    return fact.value if isinstance(fact, Known) else fact


def values_of(facts: Mapping[K, Known[T] | Unknown]) -> dict[K, T | Unknown]:
    """The values alone, each under its key."""
    return {key: value_of(fact) for key, fact in facts.items()}
