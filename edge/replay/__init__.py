"""Recorded rows sent through MQTT again: a file, a mapping of its columns, and a pace."""
