"""The HTTP door: reads the view between beats, posts messages into the corridor. It owns no state."""
