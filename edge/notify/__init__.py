"""Channels that carry what others must be told: they deliver, and decide nothing."""
