"""Malformed inputs for every public callable: what is given, and what has to come of it.

`kinds` malforms values, `verdict` calls and judges, `tables` has a well-formed call of each public
callable. `test_fuzz` runs a sample in the default tier and every case in the long one.
"""
