"""Internal: Pythia run in blocks of events, planned from a seed, and the parameters of its examples."""
