"""rfid3: the edge brain of a rental or retail shop.

This package is the daemon: MQTT and HTTP events in, durable state, features and an API out.
"""

__version__ = "0.1.0"
