"""The holidays of a country and region as day numbers. The only file that knows ``holidays``."""

import numpy as np
from numpy.typing import NDArray


def holiday_days(country: str, region: str | None, first: int, last: int) -> NDArray[np.int64]:
    """int64[n] day numbers from ``first`` to ``last``; none without a country.

    Raises NotImplementedError for a country or region the library does not know.
    """
    if not country:
        return np.zeros(0, np.int64)
    import holidays

    years = range(_year(first), _year(last) + 1)
    found = holidays.country_holidays(country, subdiv=region, years=years)
    days = np.array(sorted(found), "datetime64[D]").astype(np.int64)
    return days[(days >= first) & (days <= last)]


def _year(day: int) -> int:
    return int(np.datetime64(day, "D").astype("datetime64[Y]").astype(np.int64)) + 1970
