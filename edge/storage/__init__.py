"""The local store: the journal (the truth), the tables derived from it, and state snapshots."""
