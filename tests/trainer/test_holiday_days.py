"""Holidays are days of a country; one that nobody knows is said with the cure."""

import numpy as np
import pytest

from edge.errors import Rfid3Error
from trainer.demand.holiday_days import holiday_days


def test_christmas_is_a_holiday_and_without_a_country_nothing_is() -> None:
    first, last = (int(np.datetime64(day, "D").astype(int)) for day in ("2025-12-20", "2025-12-31"))
    christmas = int(np.datetime64("2025-12-25", "D").astype(int))
    assert christmas in holiday_days("US", None, first, last)
    assert not len(holiday_days("", None, first, last))


@pytest.mark.parametrize(("country", "region"), [("XX", None), ("US", "BY")])
def test_an_unknown_country_or_region_is_named_with_the_cure(country: str, region: str) -> None:
    with pytest.raises(Rfid3Error, match=f"'{country}'.*ISO 3166"):
        holiday_days(country, region, 20_000, 20_010)
