"""What the proposals are worth: a simulated shop's year with them carried out, and without."""
