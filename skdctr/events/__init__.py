"""Internal: events as users have them, unpacked, checked, scaled, once.

Arrays, frames and sets of particles come in; rows of numbers or packed sets, their scale and their
support go out. Imports nothing of the package but `_utils` and `exceptions`.
"""
