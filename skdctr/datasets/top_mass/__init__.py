"""Internal: the top-mass example of the SRGN paper, top quark pairs and their observables.

Masses, files, or lists of jets come in; tables of four observables at two levels go out.
Neither `gaussian` nor `jets` may be imported here.
"""
