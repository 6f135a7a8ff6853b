"""What the product costs, measured. Nothing here is part of it; no test asserts a speed."""
