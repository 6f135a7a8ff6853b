"""Models' folders as an enemy, a broken disk or a careless person would leave them at the door.

``make test`` tries 5,000, ``make hostile N=...`` any number; ``python -m tests.hostile --help``.
"""
