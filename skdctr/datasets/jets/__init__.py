"""Internal: the parton-shower example of the papers: jets of hadronic Z decays."""
