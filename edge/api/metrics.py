"""The daemon's counters as Prometheus text. No counting here: samples come from the view.

Samples are gathered on the loop, in one revision; making text of them (and reading ``/proc``)
happens in a thread, so a scrape never holds the loop.
"""

import asyncio
from collections.abc import Iterator, Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from edge.api.endpoint import Api
from edge.api.exposition import Seconds, text
from edge.view_types import Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST
_LIMITS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)
"""Few: there are as many lines as endpoints times these, and a scrape takes the interpreter from others."""


def registry() -> tuple[CollectorRegistry, Seconds]:
    """A registry with the process's own metrics, and the histogram of the API's answers."""
    found = CollectorRegistry()
    ProcessCollector(registry=found)
    PlatformCollector(registry=found)
    GCCollector(registry=found)
    words = "Time to answer a request, seconds."
    return found, Seconds("rfid3_http_request_seconds", words, _LIMITS_S)


def _own(api: Api) -> Iterator[Metric]:
    words = "HTTP requests answered, by endpoint and status."
    for (name, status), n in api.answers.items():
        labels = {"endpoint": name, "status": str(status)}
        yield Metric("rfid3_http_requests_total", n, words, labels=labels)
    words = "Events that came through HTTP, by outcome."
    for outcome, n in api.uploaded.items():
        yield Metric("rfid3_http_events_total", n, words, labels={"outcome": outcome})


def _text(samples: Sequence[Metric], process: CollectorRegistry, seconds: Seconds) -> bytes:
    return text(samples).encode() + generate_latest(process) + seconds.text().encode()


async def render(api: Api) -> bytes:
    """All metrics, in the text format of ``CONTENT_TYPE``."""
    samples = [*api.view.metrics(), *_own(api)]
    return await asyncio.to_thread(_text, samples, api.registry, api.seconds)
