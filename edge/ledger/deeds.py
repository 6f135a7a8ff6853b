"""What every command does, what events change, and who is asked when something falls due. Tables.

A handler changes rows of the ledger or refuses, with the words that the asker reads. It looks at
everything first and changes afterwards: a refusal changes nothing.
"""

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Union

import msgspec

from edge.commands import Command, Done, Refused, Told
from edge.decisions import deeds as decisions
from edge.events import Event
from edge.ledger import (
    catalogue,
    contracts,
    forecasts,
    inspections,
    orders,
    packs,
    price_tests,
    prices,
    stock_take,
    suppliers,
    workshop,
)
from edge.ledger.ledger import WHOLE_MOST, Deed, Hook, Ledger, LedgerFullError, Wake

Hooks = Mapping[type[Event], tuple[Hook, ...]]


def _together(*areas: Hooks) -> dict[type[Event], tuple[Hook, ...]]:
    """The hooks of all areas, those of one event in the order of the areas."""
    made: dict[type[Event], tuple[Hook, ...]] = {}
    for area in areas:
        for kind, hooks in area.items():
            made[kind] = made.get(kind, ()) + hooks
    return made


DEEDS: Mapping[type[Command], Deed] = MappingProxyType(
    {
        **decisions.DEEDS,
        **catalogue.DEEDS,
        **contracts.DEEDS,
        **forecasts.DEEDS,
        **inspections.DEEDS,
        **workshop.DEEDS,
        **orders.DEEDS,
        **stock_take.DEEDS,
        **suppliers.DEEDS,
        **prices.DEEDS,
        **price_tests.DEEDS,
        **packs.DEEDS,
    }
)
"""Command -> what it does."""
HOOKS: Mapping[type[Event], tuple[Hook, ...]] = MappingProxyType(
    _together(
        contracts.HOOKS,
        workshop.HOOKS,
        orders.HOOKS,
        prices.HOOKS,
    )
)
"""Event -> what it changes in the ledger, beside the features."""
WAKES: Mapping[str, Wake] = MappingProxyType(
    {
        **decisions.WAKES,
        **contracts.WAKES,
    }
)
"""Kind given to ``Ledger.wake`` -> who is asked."""

ANSWERS_MAX = 10_000
"""Answers to commands with a key that are remembered, the newest."""


def decoder() -> "msgspec.json.Decoder[Command]":
    """Reads the payload of a command. Raises msgspec.ValidationError."""
    kinds: Any = Union[tuple(DEEDS) or (Command,)]  # noqa: UP007 -- the types stand in a table
    return msgspec.json.Decoder(kinds)


def _asked(command: Command) -> Any:
    """What was asked for, without what the daemon noted beside it."""
    if not command.noted:
        return command
    told: dict[str, Any] = msgspec.to_builtins(command)
    return {name: value for name, value in told.items() if name not in command.noted}


def do(ledger: Ledger, command: Command, told: Told) -> tuple[str, str]:
    """Carry out a command: ``("done", JSON)`` or (refusal code, words).

    A command whose key was answered before is answered alike and does nothing; another command
    under that key is a conflict.
    """
    if _beyond(command):
        return "invalid", "a whole number is beyond 64 bits"
    if not command.key:
        return _carried_out(ledger, command, told)
    said = hashlib.sha256(msgspec.json.encode(_asked(command))).hexdigest()[:32]
    before = ledger.answered.get(command.key)
    if before is not None:
        if before[0] != said:
            return (
                "conflict",
                f"the key {command.key!r} was used for another command: choose another",
            )
        return before[1], before[2]
    outcome = _carried_out(ledger, command, told)
    if outcome[0] == "done":
        ledger.answered[command.key] = (said, *outcome)
        if len(ledger.answered) > ANSWERS_MAX:
            del ledger.answered[next(iter(ledger.answered))]
    return outcome


_LONG = re.compile(rb"\d{19}")


def _beyond(command: Command) -> bool:
    """Whether a whole number anywhere in it is more than can be stored."""
    if _LONG.search(msgspec.json.encode(command)) is None:
        return False
    rest = [msgspec.to_builtins(command)]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list):
            rest += value
        elif isinstance(value, int) and abs(value) > WHOLE_MOST:
            return True
    return False


def _carried_out(ledger: Ledger, command: Command, told: Told) -> tuple[str, str]:
    try:
        outcome = DEEDS[type(command)](ledger, command, told)
    except LedgerFullError as error:
        return "limit", str(error)
    if isinstance(outcome, Refused):
        return outcome.code, outcome.detail
    assert isinstance(outcome, Done), outcome
    return "done", msgspec.json.encode(outcome.detail).decode()
