"""Rolling features in columns: pure, event time, scaled integers. No I/O and no clock below here."""
