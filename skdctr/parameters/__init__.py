"""Internal: everything about θ: names, ranges, bounds, nominal values, polynomials.

θ as users write it comes in; arrays of shape (p,) or (n, p), and functions of θ go out. Imports
`events` and what lies below, nothing that learns.
"""
