"""Kill -9 under load, again and again, and then see whether anything was lost or counted twice.

``truth.py`` makes numbered events and remembers what they must add up to, ``daemon.py`` is the
daemon as it is told to die at a chosen point (or to be wrong on purpose), ``judge.py`` replays the
journal uninterrupted and compares, ``run.py`` keeps it all going. Not a bench: nothing is timed.
"""
