"""Internal: one way to θ*, by classifiers of data against simulation reweighted to one θ each.

Weights and reconstructed events come in; the AUC and the loss at a θ, and the θ* of a search, go
out. Knows `weights`, never reweighters; beside it stands the other way, `observable`.
"""
