"""The same cases as for the fake shop, judged on the real daemon without a broker."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from edge.app import running
from edge.clock import SystemClock
from edge.config import Api, Config, Mqtt, Storage, Zone
from tests.api.contract import CASES, run


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_daemon_keeps_the_contract(case: Callable[..., Any], tmp_path: Path) -> None:
    config = Config(
        mqtt=Mqtt(enabled=False),
        storage=Storage(directory=str(tmp_path)),
        api=Api(bind="127.0.0.1:0"),
        zones=[Zone(name="hall", readers=["r1"])],
    )

    @asynccontextmanager
    async def real() -> AsyncIterator[aiohttp.ClientSession]:
        async with running(config, SystemClock()) as daemon:
            assert daemon.bound is not None
            async with aiohttp.ClientSession(daemon.bound.url) as client:
                yield client

    run(case, real)
