"""Internal: events in files, as tables that are read whole or in parts, and as caches.

Paths, names of columns and requests come in; data frames, mapped files and arrays go out.
No generator and no other data set may be imported here.
"""
