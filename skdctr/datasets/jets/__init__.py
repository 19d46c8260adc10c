"""Internal: the parton-shower example of the papers, jets of hadronic Z decays.

Parameters of the shower, or the name of a published file, come in; jets, their particles and their
observables go out. Neither `gaussian` nor `top_mass` may be imported here.
"""
