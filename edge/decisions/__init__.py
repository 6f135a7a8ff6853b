"""What may be done: gates, transitions, safeguards. Pure.

Services say what is likely worth doing; here it is decided whether it may be done, by whom, and what
becomes of it. Nothing is sent from here: an approved decision leaves rows in the outbox.
"""
