"""docs/endpoints.md: what it says serves a design is there, and no design's endpoint is left out."""

import re
from pathlib import Path

import pytest

from edge.api.table import ENDPOINTS

PAGE = (Path(__file__).parents[2] / "docs" / "endpoints.md").read_text(encoding="utf-8")
ROWS = [
    (cells[0].strip(), cells[1].strip())
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| design |")
    for cells in [re.split(r"(?<!\\)\|", line.strip("| "))]
]
HERE = {f"{e.method} {e.path}" for e in ENDPOINTS}
METHODS = "GET|POST|PUT|PATCH|DELETE"
COUNTS = {"1": 26, "3": 15, "4": 30, "5": 20}
"""Design -> endpoints that it lists."""


def section(number: str) -> str:
    return re.split(r"^## ", PAGE, flags=re.M)[int(number)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_everything_named_is_there_or_said_not_to_be(row: tuple[str, str]) -> None:
    _, here = row
    named = re.findall(rf"`((?:{METHODS}) /[^`]*)`", here)
    assert named or "not there yet" in here or "`" in here or "](" in here, row
    for endpoint in named:
        assert endpoint in HERE, endpoint


@pytest.mark.parametrize("number", COUNTS)
def test_no_endpoint_of_a_design_is_left_out(number: str) -> None:
    told = re.findall(rf"`((?:{METHODS}) [^/`][^`]*)`", section(number))
    told = [one for one in told if not one.partition(" ")[2].startswith("/")]
    assert len(set(told)) >= COUNTS[number], sorted(set(told))


def test_the_first_designs_paths_are_served_as_they_are() -> None:
    for method, path in re.findall(rf"^\| `({METHODS}) ([a-z][^`?]*)", section("1"), re.M):
        whole = f"{method} /api/predictive/{path}"
        assert whole in HERE, whole
