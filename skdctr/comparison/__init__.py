"""Internal: one way to θ*, a classifier of data against reweighted simulation at one θ after another.

Weights and reconstructed events come in; the AUC and the loss at a θ, and the θ* of a search go out.
Knows `weights`, never reweighters; beside it stands the other way, `observable`.
"""
