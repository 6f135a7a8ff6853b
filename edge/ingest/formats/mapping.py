"""Any other JSON, by a ``[mapping.<name>]`` table of the configuration.

For readers whose payload is a template of their owner's making (Keonn, Newland), tills and
home-made senders. Constants come first, then fields found by their paths (what is absent or null
is left out), then ``values`` and ``scale``; the result must be an event like any native one.
"""

import math
from typing import Any

import msgspec
from msgspec import json

from edge import config
from edge.errors import ConfigError, FormatError
from edge.events import BY_KIND, Event
from edge.ingest.formats import values
from edge.ingest.formats.checks import fault, settle
from edge.ingest.formats.reading import ELEMENTS_MAX, Object, Reading


def find(o: object, path: list[str]) -> object:
    """The value at a path, or ``None``: keys of objects, indices of lists.

    >>> find({"a": [{"b": 7}]}, ["a", "0", "b"])
    7
    """
    for step in path:
        if isinstance(o, dict):
            o = o.get(step)
        elif isinstance(o, list) and step.isascii() and step.isdigit() and len(step) < 6:
            o = o[int(step)] if int(step) < len(o) else None
        else:
            return None
    return o


class Mapped:
    """Reads payloads by one mapping."""

    def __init__(self, name: str, mapping: config.Mapping) -> None:
        """Raises ConfigError for an unknown event type or field."""
        event_type = BY_KIND.get(mapping.kind)
        if event_type is None:
            raise ConfigError(f"mapping.{name}: kind {mapping.kind!r} is not an event type")
        fields = {f.name: f.type for f in msgspec.structs.fields(event_type)}
        named = {*mapping.fields, *mapping.constants, *mapping.values, *mapping.scale}
        for field in sorted(named - set(fields)):
            raise ConfigError(f"mapping.{name}: {mapping.kind} has no field {field!r}")
        self._event_type: type[Event] = event_type
        self._items = mapping.items.split(".") if mapping.items else []
        self._paths = [(field, path.split(".")) for field, path in mapping.fields.items()]
        self._mapping = mapping
        self._texts = frozenset(n for n, t in fields.items() if t is str)
        self._whole = frozenset(n for n, t in fields.items() if t is int or t == int | None)
        self._moments = frozenset(n for n, t in fields.items() if t == int | float | str)

    def read(self, o: Object, raw: bytes, reading: Reading) -> None:
        """One object, or the list inside it. Raises FormatError."""
        if not self._items:
            self._read_one(o, reading)
            return
        found = find(o, self._items)
        if not isinstance(found, list):
            raise FormatError("missing_field", f"mapping: no list at {'.'.join(self._items)}")
        if reading.index + len(found) > ELEMENTS_MAX:
            raise FormatError("too_many", f"{len(found)} elements, at most {ELEMENTS_MAX}")
        if not found:
            reading.skip()
            reading.index += 1
        for element in found:
            try:
                self._read_one(element, reading)
            except FormatError as error:
                reading.reject(error, self._alone(element, raw))
            reading.index += 1

    def _alone(self, element: object, raw: bytes) -> bytes:
        """One element inside the objects its path asks for, so that it can be read again."""
        wrapped: object = [element]
        for step in reversed(self._items):
            wrapped = {step: wrapped}
        try:
            return json.encode(wrapped)
        except (ValueError, OverflowError, RecursionError):
            return raw

    def _read_one(self, o: object, reading: Reading) -> None:
        if not isinstance(o, dict | list):
            raise FormatError("wrong_type", "mapping: expected an object")
        told: dict[str, Any] = dict(self._mapping.constants)
        for field, path in self._paths:
            value = find(o, path)
            if value is not None:
                told[field] = value
        for field in list(told):
            told[field] = self._translated(field, told[field])
        try:
            event = msgspec.convert(told, self._event_type, strict=False)
        except (ValueError, RecursionError, OverflowError) as error:
            raise fault(error) from None
        settle(event, reading.source, reading.arrival_ms)
        reading.add(event)

    def _translated(self, field: str, value: Any) -> Any:
        """One value in our words and unit."""
        words = self._mapping.values.get(field)
        if words is not None:
            value = words.get(values.name(value), value)
        factor = self._mapping.scale.get(field)
        if factor is not None:
            amount = values.number(value)
            if amount is None:
                raise FormatError("wrong_type", f"{field}: not a number, so it cannot be scaled")
            value = amount * factor
        if field in self._texts and type(value) in (int, float):
            return _plain(value)
        if field in self._whole or field in self._moments:
            return _whole(value)
        return value


def _plain(value: float) -> str:
    """A number as text: 85123.0 is "85123"."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value)) if abs(value) < 1e18 else "huge"
    return str(value) if abs(value) < 1e30 else "huge"


def _whole(value: Any) -> Any:
    """254.99999999999997 is 255 where a whole number is wanted."""
    if isinstance(value, float) and math.isfinite(value):
        return round(value)
    return value
