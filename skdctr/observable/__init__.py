"""Internal: one way to θ*, the equation of the optimal observable, with no classifier at any θ.

Weights, simulated events at both levels, data and generator events come in; θ* with its covariance
by source goes out. No reweighter is imported here, nor the other way to θ*, `comparison`.
"""
