"""Internal: the refit of a separable network's couplings, with their error.

What comes in: a trained network, and events of both classes with the θ that made them.
What goes out: the network's most probable couplings, their prior and their covariance.
What it must not import: the reweighters that use it, and what lies above `training`.
"""
