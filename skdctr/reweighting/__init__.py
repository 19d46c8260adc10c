"""Internal: reweighters, which learn the weights from generator events or know them.

Generator events and the θ of each come in; a reweighter that binds events to `weights` goes out.
Does not know the fits, nor the two routes to θ*, `comparison` and `observable`.
"""
