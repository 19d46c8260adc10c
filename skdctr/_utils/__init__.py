"""Internal: small tools that know nothing of physics, for every other package.

What comes in and goes out are plain values; nothing of the package is imported but `exceptions`.
"""
