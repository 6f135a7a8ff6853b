"""The API's contract, before a shop in memory."""

import pytest

from tests.api.contract import CASES, Case, run
from tests.api.fakes import fake_client


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_fake_keeps_the_contract(case: Case) -> None:
    run(case, fake_client)
