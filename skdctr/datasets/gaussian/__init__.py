"""Internal: the Gaussian examples of the SRGN paper, in which every density is known exactly."""
