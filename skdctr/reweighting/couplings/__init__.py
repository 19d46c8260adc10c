"""Internal: the refit of a separable network's couplings, with their error.

A trained network and events of both classes come in; its most probable couplings and their
covariance go out. Knows `networks` and `training`, not the reweighters that use it.
"""
