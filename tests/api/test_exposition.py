"""The text of metrics is the library's own, byte for byte: the library is the oracle."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client import metrics as library
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from edge.api.exposition import Seconds, text
from edge.view_types import Metric

LIMITS_S = (0.001, 0.01, 2.5)


class Samples(Collector):
    """The same samples for the library."""

    def __init__(self, samples: list[Metric]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Family]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for sample in self._samples:
            kind = CounterMetricFamily if sample.kind == "counter" else GaugeMetricFamily
            words = sample.help or sample.name
            made = kind(sample.name, words, labels=list(sample.labels))
            family = families.setdefault(sample.name, made)
            family.add_metric(list(sample.labels.values()), sample.value)
        yield from families.values()


values = (
    st.sampled_from([0, 3, 999_999, 1e6, 1234567.5, -2e7, float("inf"), float("nan")]) | st.floats()
)
words = st.text(st.sampled_from('abé"\\\n{} '), max_size=6)
samples = st.builds(
    lambda name, value, told, label: Metric(
        f"rfid3_{name}" + ("_total" if name == "c" else ""),
        value,
        told,
        "counter" if name == "c" else "gauge",
        {} if name == "bare" else {"what": label, "a_first": name},
    ),
    st.sampled_from(["c", "g", "bare"]),
    values,
    words,
    words,
)


@given(st.lists(samples, max_size=8))
def test_samples_are_written_as_the_library_writes_them(told: list[Metric]) -> None:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Samples(told))
    assert text(told).encode() == generate_latest(registry)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/api/items", '/odd/"{epc}"', "none"]),
            st.sampled_from([0.0, 0.001, 0.0010001, 0.01, 2.5, 2.6, 1e9]) | st.floats(0, 5),
        ),
        max_size=20,
    )
)
def test_the_histogram_of_answers_is_written_as_the_library_writes_its_own(
    took: list[tuple[str, float]],
) -> None:
    library.disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    theirs = Histogram("took", "Words.", ["endpoint"], registry=registry, buckets=LIMITS_S)
    ours = Seconds("took", "Words.", LIMITS_S)
    for endpoint, seconds in took:
        theirs.labels(endpoint).observe(seconds)
        ours.observe(endpoint, seconds)
    assert ours.text().encode() == generate_latest(registry)


def test_a_million_answers_are_counted_as_go_writes_a_million() -> None:
    ours = Seconds("took", "Words.", LIMITS_S)
    ours.observe("/", 0.0)
    ours._took["/"].counts[0] = 1_000_000
    assert 'took_bucket{endpoint="/",le="0.001"} 1e+06\n' in ours.text()


def test_those_that_took_most_in_all_are_named_with_their_means() -> None:
    ours = Seconds("took", "Words.", LIMITS_S)
    for name, seconds in (("a", 0.5), ("b", 0.2), ("b", 0.4), ("c", 0.1)):
        ours.observe(name, seconds)
    assert ours.means(2) == {"b": 0.3, "a": 0.5}
