"""Internal: one way to θ*, by classifiers of data against simulation reweighted to one θ each.

Weights and the events that are compared come in; the AUC and the loss at a θ, and the θ* of a
search, go out. No reweighter is imported here, nor the other way to θ*, `observable`.
"""
