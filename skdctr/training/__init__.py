"""Internal: one training loop for all networks, on weighted events that lie on the device.

What comes in: a network, tensors of events, weights and targets, and options of the training.
What goes out: a fitted skorch net, and its outputs on whole samples.
What it must not import: what trains networks, such as `reweighting`, `comparison`, `observable`.
"""
