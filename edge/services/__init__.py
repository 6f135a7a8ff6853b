"""What is likely, and what would be best: pure services over columns. Never what may be done."""
