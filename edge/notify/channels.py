"""One try to deliver a line of the outbox, by its channel. No retries and no rules: see ``outbox.py``.

Whoever receives may be told twice (a crash between delivery and its record): the line's id is the
same both times, as HTTP's ``Idempotency-Key``, as MQTT user property ``id`` or as the file's name.
"""

import asyncio
import csv
import os
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec
from msgspec import Struct

from edge.decisions.rows import OutboxLine
from edge.errors import LinkDown, Rfid3Error
from edge.notify.guarded import ForbiddenAddressError, checked_url, post_once


class Attempt(Struct, frozen=True):
    """What became of one try."""

    ok: bool
    """Whether it arrived."""
    error: str = ""
    """Why it did not."""
    final: bool = False
    """Whether trying again would be in vain."""


class Publisher(Protocol):
    """Somebody who publishes MQTT."""

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        user_properties: Any = None,
    ) -> None:
        """Publish; with QoS 1 return when the broker has answered. Raises LinkDown, PublishError."""
        ...


class Channels:
    """All channels of one daemon."""

    def __init__(self, publisher: Publisher | None, hosts: Collection[str], own_port: int) -> None:
        self._publisher = publisher
        self._hosts = hosts
        self._own_port = own_port
        self._ways: dict[str, Callable[[OutboxLine], Awaitable[Attempt]]] = {
            "webhook": self._webhook,
            "mqtt": self._mqtt,
            "file": self._file,
        }

    async def deliver(self, line: OutboxLine) -> Attempt:
        """Try once."""
        return await self._ways[line.channel](line)

    async def _webhook(self, line: OutboxLine) -> Attempt:
        headers = {"Content-Type": "application/json", "Idempotency-Key": line.id}
        try:
            url = checked_url(line.target, self._hosts, self._own_port)
            status = await post_once(url, told(line), headers, self._hosts)
        except ForbiddenAddressError as error:
            return Attempt(ok=False, error=str(error), final=True)
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            return Attempt(ok=False, error=f"{type(error).__name__}: {error}")
        if 200 <= status < 300:
            return Attempt(ok=True)
        refused = 400 <= status < 500 and status not in (408, 409, 425, 429)
        return Attempt(ok=False, error=f"HTTP {status}", final=refused)

    async def _mqtt(self, line: OutboxLine) -> Attempt:
        if self._publisher is None:
            return Attempt(ok=False, error="mqtt.enabled is false", final=True)
        try:
            await self._publisher.publish(
                line.target, told(line), qos=1, user_properties=[("id", line.id)]
            )
        except LinkDown as error:
            return Attempt(ok=False, error=f"no link to the broker: {error}")
        except Rfid3Error as error:
            return Attempt(ok=False, error=f"the broker refused it: {error}", final=True)
        return Attempt(ok=True)

    async def _file(self, line: OutboxLine) -> Attempt:
        try:
            await asyncio.to_thread(write_order, Path(line.target), line)
        except OSError as error:
            return Attempt(ok=False, error=f"{line.target}: {error.strerror}")
        return Attempt(ok=True)


def told(line: OutboxLine) -> bytes:
    """The JSON that is sent."""
    return msgspec.json.encode({"id": line.id, **line.body})


FIELDS = ("deed", "decision", "kind", "target", "store", "value_cents", "approved_by")


def write_order(folder: Path, line: OutboxLine) -> Path:
    """A CSV file of one header and one row, whole or not at all; again: the same file.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{line.body['kind']}-{line.body['deed']}-{line.id}.csv"
    data: dict[str, Any] = line.body.get("data") or {}
    row = {"id": line.id} | {name: line.body[name] for name in FIELDS}
    row |= {f"data.{name}": value for name, value in data.items()}
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(row)
        writer.writerow([_cell(value) for value in row.values()])
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path


def _cell(value: object) -> str:
    """A value as a cell that no spreadsheet takes for a formula.

    >>> _cell("=1+1"), _cell(-5), _cell(["a"])
    ("'=1+1", '-5', '["a"]')
    """
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in "=+-@\t\r" and text else text
