"""Internal: events as users have them, unpacked, checked and scaled once.

What comes in: arrays, frames, awkward arrays and sets of particles, with their weights.
What goes out: rows of features or packed sets, their scale, their support and their identity.
What it must not import: anything of the package but `_utils` and `exceptions`.
"""
