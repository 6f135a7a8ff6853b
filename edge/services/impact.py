"""What a change brought, afterwards: before and after, against everybody else. Pure; no experiment.

Takings of the days after, less those of as many days before moved along with the rest of the shop
(difference in differences on ratios). Whatever else changed for this class alone counts as well, so this
is an account, not a proof; a price test is one. Source: Card & Krueger, Am. Econ. Rev. 84 (1994), for the
comparison.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REST_LEAST = 1e-9


def brought(before: Floats, after: Floats, rest_before: Floats, rest_after: Floats) -> float | None:
    """Gain over not acting, in the unit of what is given; ``None``: it cannot be told.

    float64[d] each: takings of the class, and of the rest of the shop, by day; as many days before as
    after. Without a rest, or a rest that stopped, before counts as it was.

    >>> day = np.ones(4)
    >>> brought(100 * day, 130 * day, 1_000 * day, 1_100 * day)  # 110 were due
    80.0
    """
    if not len(before) or len(before) != len(after) or not float(before.sum()):
        return None
    moved, was = float(rest_after.sum()), float(rest_before.sum())
    pace = moved / was if moved > REST_LEAST and was > REST_LEAST else 1.0
    return round(float(after.sum()) - float(before.sum()) * pace, 6)
