"""Internal: the top-mass example of the SRGN paper: top quark pairs and their observables."""
