"""Internal: Pythia 8 run in blocks of events, and the parameters that the examples vary.

Ranges of parameters, a number of events and a seed come in; particles and jets as arrays go out.
No data set may be imported here: `jets` and `top_mass` build on this.
"""
