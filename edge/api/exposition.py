"""Samples and the histogram of answers as Prometheus text. No registry, no ``/proc``, no clock.

The library's own writer takes 6 µs a line and there are a thousand lines: a scrape would take the
interpreter from everybody else for as long as ten other answers. Here what stands before a number
is made once for the histogram's lines. Tests hold it to the library's text, byte for byte.

Source: Prometheus, "Exposition formats", text format 0.0.4.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from prometheus_client.utils import floatToGoString

from edge.view_types import Metric

GO_FROM = 1e6
"""From here on Go writes an exponent where Python writes none yet."""


def number(value: float) -> str:
    """A number as Go writes it.

    >>> [number(n) for n in (3, 0.25, 1e6, float("inf"), float("nan"))]
    ['3.0', '0.25', '1e+06', '+Inf', 'NaN']
    """
    if -GO_FROM < value < GO_FROM:
        return repr(float(value))
    return floatToGoString(value)  # type: ignore[no-any-return,no-untyped-call]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def labelled(name: str, labels: Mapping[str, str]) -> str:
    """What stands before the number of a sample.

    >>> labelled("n_total", {"b": 'a "word"', "a": "1"})
    'n_total{a="1",b="a \\\\"word\\\\""}'
    """
    if not labels:
        return name
    told = ",".join(f'{label}="{_escaped(labels[label])}"' for label in sorted(labels))
    return f"{name}{{{told}}}"


def _heading(name: str, words: str, kind: str) -> str:
    words = words.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {words}\n# TYPE {name} {kind}\n"


def text(samples: Iterable[Metric]) -> str:
    """Samples, grouped into families by name in order of first appearance."""
    families: dict[str, list[str]] = {}
    for sample in samples:
        lines = families.get(sample.name)
        if lines is None:
            heading = _heading(sample.name, sample.help or sample.name, sample.kind)
            lines = families[sample.name] = [heading]
        lines.append(f"{labelled(sample.name, sample.labels)} {number(sample.value)}\n")
    return "".join("".join(lines) for lines in families.values())


class Seconds:
    """How long answers took, by endpoint: a histogram with the same limits for all.

    The count of a limit is of all that took no longer, as Prometheus wants it.
    """

    def __init__(self, name: str, words: str, limits_s: tuple[float, ...]) -> None:
        self._name, self._limits = name, limits_s
        self._heading = _heading(name, words, "histogram")
        self._took: dict[str, _Took] = {}

    def observe(self, endpoint: str, seconds: float) -> None:
        """One answer."""
        took = self._took.get(endpoint)
        if took is None:
            took = self._took[endpoint] = _Took(self._name, endpoint, self._limits)
        took.counts[bisect_left(self._limits, seconds)] += 1
        took.sum_s += seconds

    def means(self, most: int) -> dict[str, float]:
        """Endpoint -> mean seconds to the microsecond, of those that took most in all."""
        dear = sorted(self._took.items(), key=lambda pair: -pair[1].sum_s)[:most]
        return {name: round(took.sum_s / sum(took.counts), 6) for name, took in dear}

    def text(self) -> str:
        """All of them, endpoint by endpoint in order of their first answer."""
        return self._heading + "".join([took.text() for took in tuple(self._took.values())])


class _Took:
    """Of one endpoint."""

    def __init__(self, name: str, endpoint: str, limits_s: tuple[float, ...]) -> None:
        self.counts = [0] * (len(limits_s) + 1)
        self.sum_s = 0.0
        told = [number(limit) for limit in (*limits_s, float("inf"))]
        self._heads = [
            labelled(f"{name}_bucket", {"endpoint": endpoint, "le": limit}) for limit in told
        ]
        self._count, self._sum = (
            labelled(f"{name}_{what}", {"endpoint": endpoint}) for what in ("count", "sum")
        )

    def text(self) -> str:
        """Its lines."""
        lines, so_far = [], 0
        for head, count in zip(self._heads, self.counts, strict=True):
            so_far += count
            lines.append(
                f"{head} {so_far}.0\n" if so_far < GO_FROM else f"{head} {number(so_far)}\n"
            )
        lines.append(f"{self._count} {number(so_far)}\n{self._sum} {number(self.sum_s)}\n")
        return "".join(lines)
