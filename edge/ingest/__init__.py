"""From bytes on a wire to admitted events."""
