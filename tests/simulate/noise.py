"""A simulated shop in which nothing goes wrong."""

from edge.simulate.shop_settings import Noise

QUIET = Noise(
    twice=0,
    garbage=0,
    clock_ahead=0,
    clock_unset=0,
    stray=0,
    corrected=0,
    overflow_every_s=0,
    outage_every_s=0,
)
