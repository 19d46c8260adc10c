"""Internal: events in files: tables read whole or in parts, and caches."""
