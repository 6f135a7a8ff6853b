"""The holidays of a country and region as day numbers. The only file that knows ``holidays``."""

import numpy as np
from numpy.typing import NDArray

from edge.errors import Rfid3Error


def holiday_days(country: str, region: str | None, first: int, last: int) -> NDArray[np.int64]:
    """int64[n] day numbers from ``first`` to ``last``; none without a country.

    Raises Rfid3Error for a country or region the library does not know.
    """
    if not country:
        return np.zeros(0, np.int64)
    import holidays

    years = range(_year(first), _year(last) + 1)
    try:
        found = holidays.country_holidays(country, subdiv=region, years=years)
    except NotImplementedError as error:
        raise Rfid3Error(
            f"no holidays are known for the country {country!r}, region {region or ''!r}: use an "
            "ISO 3166 code such as US or GB, and a region of that country or none"
        ) from error
    days = np.array(sorted(found), "datetime64[D]").astype(np.int64)
    return days[(days >= first) & (days <= last)]


def _year(day: int) -> int:
    return int(np.datetime64(day, "D").astype("datetime64[Y]").astype(np.int64)) + 1970
