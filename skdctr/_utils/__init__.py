"""Internal: small tools that know nothing of physics, for every other package.

Plain values, files and jobs come in; the same, checked or done, go out.
Nothing of the package may be imported here but `exceptions`.
"""
