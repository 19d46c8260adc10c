"""Internal: the fits of θ to data, `SRGNFitter` and `DCTRFitter`.

Simulation, data and a reweighter come in; θ*, its covariance and the quality of the fit go out.
This package alone imports reweighters and both ways to θ*, `comparison` and `observable`; it must
not import `closure`.
"""
