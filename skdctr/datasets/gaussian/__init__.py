"""Internal: the Gaussian examples of the SRGN paper, in which every density is known exactly.

Sizes, parameters and a seed come in; samples with their exact density ratios go out.
Nothing but `_utils` may be imported here: the examples need no optional package and no network.
"""
