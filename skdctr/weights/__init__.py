"""Internal: log w(x; θ) of bound events, its gradient, its error and its noise.

Trained networks and events come in; log-weights at any θ, and what their error does to means, go
out. Nothing that trains weights or uses them is imported here: no reweighter, `comparison` or
`observable`.
"""
