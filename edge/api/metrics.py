"""The daemon's counters as Prometheus text. No counting here: samples come from the view.

Samples are gathered on the loop, in one revision; making text of them (and reading ``/proc``)
happens in a thread, so a scrape never holds the loop.
"""

import asyncio
from collections.abc import Iterable, Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from edge.api.endpoint import Api
from edge.view_types import Metric

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)
"""Few: there are as many lines as endpoints times these, and a scrape takes the interpreter from others."""


class Samples(Collector):
    """A fixed list of samples, grouped into families by name."""

    def __init__(self, samples: Iterable[Metric]) -> None:
        self._samples = list(samples)

    def collect(self) -> Iterator[Family]:
        """One family a name, in order of first appearance."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for sample in self._samples:
            family = families.get(sample.name) or families.setdefault(sample.name, _family(sample))
            family.add_metric(list(sample.labels.values()), sample.value)
        yield from families.values()


def _family(sample: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if sample.kind == "counter" else GaugeMetricFamily
    return kind(sample.name, sample.help or sample.name, labels=list(sample.labels))


def registry() -> tuple[CollectorRegistry, Histogram]:
    """A registry with the process's own metrics, and the histogram of the API's answers."""
    # a line more for every endpoint, of use to nobody here
    disable_created_metrics()  # type: ignore[no-untyped-call]
    found = CollectorRegistry()
    ProcessCollector(registry=found)
    PlatformCollector(registry=found)
    GCCollector(registry=found)
    seconds = Histogram(
        "rfid3_http_request_seconds",
        "Time to answer a request, seconds.",
        ["endpoint"],
        registry=found,
        buckets=_BUCKETS_S,
    )
    return found, seconds


def _own(api: Api) -> Iterator[Metric]:
    text = "HTTP requests answered, by endpoint and status."
    for (name, status), n in api.answers.items():
        labels = {"endpoint": name, "status": str(status)}
        yield Metric("rfid3_http_requests_total", n, text, labels=labels)
    text = "Events that came through HTTP, by outcome."
    for outcome, n in api.uploaded.items():
        yield Metric("rfid3_http_events_total", n, text, labels={"outcome": outcome})


def _text(samples: Samples, process: CollectorRegistry) -> bytes:
    scrape = CollectorRegistry(auto_describe=False)
    scrape.register(samples)
    return generate_latest(scrape) + generate_latest(process)


async def render(api: Api) -> bytes:
    """All metrics, in the text format of ``CONTENT_TYPE``."""
    samples = Samples([*api.view.metrics(), *_own(api)])
    return await asyncio.to_thread(_text, samples, api.registry)
