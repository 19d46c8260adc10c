"""Internal: one training loop for all networks, on weighted events that lie on the device.

Tensors of events, weights and targets come in; fitted skorch nets go out. Knows `networks` and
`events`, neither θ of a fit nor what a network is for.
"""
