"""A simulated shop: seeded ground truth, and readers and tills that speak their makers' formats."""
