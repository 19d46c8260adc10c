"""Print the packages that θ enters on its way from `fit` to `result_`, in order.

A call counts where the code of the fits, `skdctr.fitting`, hands over to another package of those
that θ goes through; what that package calls in turn is its own business. A return is an entry into
a package that comes before the last one in the order of the layers.

Run: python tools/trace_theta.py [auc | optimal_observable | dctr]
"""

import sys
import threading
import warnings
from itertools import pairwise

import numpy as np

from skdctr import AnalyticReweighter, DCTRFitter, SRGNFitter
from skdctr.datasets import make_gaussian

# In the order of the way; the two routes stand side by side.
WAY = {
    "parameters": 0,
    "reweighting": 1,
    "weights": 2,
    "comparison": 3,
    "observable": 3,
    "inference": 3,
    "results": 4,
}


class Trace:
    """A profile function that notes where the code of the fits hands over to another package."""

    def __init__(self):
        self.entries = []

    def __call__(self, frame, event, _argument):
        """Note a call from the code of the fits into another package."""
        if event != "call" or frame.f_back is None:
            return
        package, caller = (
            each.f_globals.get("__name__", "").split(".") for each in (frame, frame.f_back)
        )
        if package[0] != "skdctr" or caller[:2] != ["skdctr", "fitting"] or package[1] not in WAY:
            return
        if not self.entries or self.entries[-1][0] != package[1]:
            self.entries.append((package[1], []))
        names = self.entries[-1][1]
        name = frame.f_code.co_qualname
        if name not in names and "<" not in name:
            names.append(name)

    def returns(self) -> int:
        """Count the entries into a package that comes before the last one."""
        places = [WAY[package] for package, _ in self.entries]
        return sum(later < earlier for earlier, later in pairwise(places))


def main(kind="auc"):
    """Fit a toy by one of the ways, and print what θ went through."""
    toy = make_gaussian(2000, mu=0.5, n_sim=2000, n_data=2000, random_state=1)
    exact = AnalyticReweighter(toy.log_weight, {"mu": 0.0}, theta_bounds=[(-2, 2)])
    trace = Trace()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.setprofile(trace)
        threading.setprofile(trace)
        try:
            if kind == "dctr":
                DCTRFitter(exact).fit(toy.sim_gen, data=toy.data_gen)
            else:
                fitter = SRGNFitter(exact, objective=kind, max_epochs=2, random_state=1)
                fitter.fit(toy.sim_gen, toy.sim_reco, toy.data)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    for package, names in trace.entries:
        print(f"{package:12} {', '.join(names)}")
    print(f"returns to an earlier package: {trace.returns()}")


if __name__ == "__main__":
    np.seterr(all="ignore")
    main(*sys.argv[1:])
