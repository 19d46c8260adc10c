"""Internal: Pythia run in blocks of events, which a seed plans, and the parameters of examples."""
