"""Internal: log w(x; θ) of bound events, its gradient, its error and its noise.

Trained networks and events come in; log-weights at any θ, and what their error does to means, go
out. Does not know how the networks were trained, nor what the weights are used for.
"""
