"""Every problem says what to do, with something to hold on to: a path, a setting, an example."""

import re

import msgspec
import pytest

from edge.api.problems import KINDS, Problem, response

POINTER = re.compile(
    r"/[a-z{]|\{path\}|docs/|as in |curl|gzip|make |Retry-After|Idempotency-Key|Allow|127\.0\.0\.1|\[models\]|api\.\w+"
    r"|application/json"
)


@pytest.mark.parametrize("slug", KINDS)
def test_a_cure_points_at_something_and_is_a_sentence(slug: str) -> None:
    cure = KINDS[slug].cure
    assert POINTER.search(cure), cure
    assert len(cure.split()) > 5, cure
    assert cure.endswith("."), cure


def test_a_cure_names_the_path_that_was_asked_for() -> None:
    made = response(Problem("bad-field", "units: Expected `int`."), "/api/purchase-orders")
    assert isinstance(made.body, bytes)
    told = msgspec.json.decode(made.body)
    assert "each field of /api/purchase-orders" in told["cure"]
    assert "{path}" not in told["cure"]
