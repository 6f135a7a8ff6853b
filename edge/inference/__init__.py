"""Models at the edge: what they say of themselves, the door they pass, how they are scored."""
