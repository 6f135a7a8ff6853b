"""The demo's live table, and its plain lines where there is no terminal. Shows; asks nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from edge.simulate.demo import ADMITTED, Demo, quantile


class Rates:
    """Messages a second over the last look."""

    def __init__(self) -> None:
        self._before: tuple[float, float] = (0.0, 0.0)
        self.per_second = 0.0

    def note(self, seconds: float, messages: float) -> None:
        """Called with the time that passed and the messages so far."""
        then, had = self._before
        if seconds - then >= 1.0:
            self.per_second = (messages - had) / (seconds - then)
            self._before = (seconds, messages)


def picture(demo: Demo, rates: Rates, seconds: float) -> RenderableType:
    """Everything, to be shown four times a second."""
    state = demo.state
    rates.note(seconds, state.stats.get("mqtt", {}).get("received", 0))
    head = (
        f"[bold]API[/bold] {demo.api_url}   [bold]broker[/bold] {demo.broker_address}"
        f"   {seconds:,.0f} s   Ctrl-C stops"
    )
    tables = Columns(
        [_flow(demo, rates), _outcomes(demo.state.counted("events")), _zones(demo)],
        padding=(0, 3),
    )
    return Group(head, tables, _says(demo), _changes(demo))


def _says(demo: Demo) -> Panel:
    table = Table(box=None, pad_edge=False, show_header=False)
    for title, words in demo.state.says:
        table.add_row(title, words)
    nothing = "nothing yet: the shop opens today" if not demo.state.past_days else "…"
    shown = table if demo.state.says else nothing
    return Panel(shown, title="What the services say", title_align="left")


def _flow(demo: Demo, rates: Rates) -> Table:
    state = demo.state
    p50, p99 = quantile(state.latency_ms, 0.50), quantile(state.latency_ms, 0.99)
    mqtt = state.stats.get("mqtt", {})
    table = _table("Flow", "")
    table.add_row("messages/s", f"{rates.per_second:,.0f}")
    table.add_row("published", f"{state.progress.published:,}")
    table.add_row("received", f"{mqtt.get('received', 0):,.0f}")
    table.add_row("acknowledged", f"{mqtt.get('acknowledged', 0):,.0f}")
    table.add_row("latency p50", "–" if p50 is None else f"{p50:.0f} ms")
    table.add_row("latency p99", "–" if p99 is None else f"{p99:.0f} ms")
    return table


def _outcomes(events: Mapping[str, float]) -> Table:
    table = _table("Events", "")
    for name, many in sorted(events.items(), key=lambda pair: (pair[0] not in ADMITTED, -pair[1])):
        style = "green" if name in ADMITTED else "yellow"
        table.add_row(f"[{style}]{name.replace('_', ' ')}[/{style}]", f"{many:,.0f}")
    return table


def _counted(title: str, numbers: Mapping[str, float]) -> Table:
    table = _table(title, "")
    for name, many in sorted(numbers.items(), key=lambda pair: -pair[1]):
        table.add_row(name.replace("_", " "), f"{many:,.0f}")
    return table


def _zones(demo: Demo) -> Table:
    table = _table("Zone", "items")
    for zone in demo.state.zones:
        blind = " [red]blind[/red]" if zone.get("blind") else ""
        table.add_row(zone["name"] + blind, f"{zone['items']:,}")
    return table


def _changes(demo: Demo) -> Panel:
    lines = [f"{datetime.fromtimestamp(at):%H:%M:%S}  {text}" for at, text in demo.state.changes]
    return Panel("\n".join(lines) or "…", title="What happens", title_align="left")


def _table(first: str, second: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, style="", header_style="bold")
    table.add_column(second, justify="right")
    return table


def plain_line(demo: Demo, seconds: float) -> str:
    """One line for a log or a pipe."""
    state = demo.state
    events = state.counted("events")
    admitted = sum(many for name, many in events.items() if name in ADMITTED)
    refused = sum(many for name, many in events.items() if name not in ADMITTED)
    p99 = quantile(state.latency_ms, 0.99)
    latency = "" if p99 is None else f", latency p99 {p99:.0f} ms"
    return (
        f"{seconds:5.0f} s  {state.progress.published:,} messages published, "
        f"{admitted:,.0f} events admitted, {refused:,.0f} refused{latency}"
    )


def closing(console: Console, summary: Mapping[str, Any]) -> None:
    """What came of it, for people: two sentences and two small tables."""
    published, latency = summary["published"], summary["latency_ms"]
    refused = sum(summary["refused"].values())
    console.print(
        f"{published['messages']:,} messages with {published['events']:,} events published: "
        f"{summary['admitted']:,} count, {refused:,} do not."
    )
    console.print(_outcomes(summary["outcomes"]))
    for title, words in summary["says"].items():
        console.print(f"{title}: {words}")
    if summary["dead_letters"]:
        console.print(_counted("Dead letters", summary["dead_letters"]))
    if latency["p50"] is not None:
        console.print(
            f"publish → visible in the API: p50 {latency['p50']} ms, p99 {latency['p99']} ms"
        )
