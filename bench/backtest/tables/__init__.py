"""Readers of public tables, a file a table. The data is never part of the project: a path is given."""
