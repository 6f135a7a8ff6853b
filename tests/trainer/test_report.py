"""The page is whole, closed, readable without anything from elsewhere. How it looks is for eyes."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from trainer import backtest, report
from trainer.backtest import Plan
from trainer.backtest_baselines import NAIVE, AllZero
from trainer.panel import Panel

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Reader(HTMLParser):
    """Keeps tags, names and addresses; complains about what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.unlabelled = 0

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        self.tags.append(tag)
        self.ids += [told["id"]] if "id" in told else []
        self.addresses += [
            v for k, v in attrs if k in ("src", "href", "xlink:href", "data", "action")
        ]
        self.unlabelled += tag == "svg" and not told.get("aria-label")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag


@pytest.fixture(scope="module")
def text() -> str:
    chance = np.random.default_rng(2)
    units = chance.poisson(4.0, (8, 70)).astype(np.float32)
    units[0, :66] = np.nan
    units[1] *= chance.random(70) < 0.2
    panel = Panel([f"<k{i}> & co" for i in range(8)], np.arange(70), {"units": units})
    found = backtest.run(panel, "units", Plan((42, 56), 14), [*NAIVE, AllZero()])
    told = backtest.summary(found, "A shop <of> its own", [(1, 7), (8, 14)], ["Made up."])
    return report.of_backtest(
        found,
        told,
        "static_quantiles",
        verdicts=[
            {"figure": "pinball", "value": 1.0, "goal": "≤ 2", "verdict": "reached"},
            {"figure": "rmsse", "value": 3.0, "goal": "≤ 2", "verdict": "missed"},
        ],
        importances={"units_7d": 0.7, "weekday": 0.3},
        history=[("1", 3.0), ("2", 2.5)],
    )


def parsed(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def test_every_tag_is_closed_and_every_name_is_there_once(text) -> None:
    reader = parsed(text)
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    assert text.startswith("<!doctype html>")
    assert '<html lang="en">' in text
    assert 'name="viewport"' in text


def test_the_page_asks_nothing_from_elsewhere(text) -> None:
    reader = parsed(text)
    assert all(address.startswith("#") for address in reader.addresses)
    assert {"script", "link", "img", "iframe", "object"}.isdisjoint(reader.tags)
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))


def test_what_a_plot_refers_to_inside_the_page_is_there(text) -> None:
    reader = parsed(text)
    wanted = {a[1:] for a in reader.addresses} | set(re.findall(r"url\(#([^)]*)\)", text))
    assert wanted
    assert wanted <= set(reader.ids)


def test_every_plot_is_told_in_words_too(text) -> None:
    reader = parsed(text)
    assert reader.tags.count("svg") >= 6 + 2 + 2 + 1 + 1
    assert reader.unlabelled == 0
    assert reader.tags.count("figcaption") == reader.tags.count("figure")


def test_every_plot_is_well_formed_on_its_own(text) -> None:
    for svg in re.findall(r"<svg .*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)


@pytest.mark.parametrize(
    "part",
    ["Goals", "Figures", "Forecast against actual", "Error by horizon", "Calibration and coverage",
     "Importances", "Learning over versions", "Notes"],
)  # fmt: skip
def test_the_page_has_this_part(part, text) -> None:
    assert f">{part}</h2>" in text


def test_names_from_outside_cannot_become_markup(text) -> None:
    assert "<k" not in text
    assert "A shop &lt;of&gt; its own" in text


def test_the_same_backtest_gives_the_same_plot() -> None:
    one, two = (report.bars("b", {"a": 1.0, "b": 2.0}, "x", "says") for _ in range(2))
    assert one == two


def test_a_verdict_is_marked_by_a_sign_and_not_by_colour_alone(text) -> None:
    assert '<td class="missed">missed</td>' in text
    assert ".missed::before" in text
