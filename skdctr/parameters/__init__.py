"""Internal: everything about θ: names, ranges, bounds, nominal values, polynomials.

What comes in: θ as users write it, and samples of θ.
What goes out: arrays of shape (p,) or (n, p), and functions of θ.
What it must not import: anything that learns; `events` and what lies below are what it knows.
"""
