"""Pictures of reweighting and fits, as Display classes: they compute once and draw often.

Fitted estimators, their χ² and the results of toys come in; drawings in matplotlib's axes go out.
Each class computes in a class method such as `from_estimator`, holds plain arrays, and draws in
`plot`, which alone imports matplotlib. No fitter, reweighter or network is imported here. Colours
are those of Okabe and Ito, which stay apart for colour-blind readers.
"""

from skdctr.plotting.closure import ClosureDisplay
from skdctr.plotting.contour import ContourDisplay
from skdctr.plotting.profile import ProfileDisplay
from skdctr.plotting.pulls import PullDisplay
from skdctr.plotting.scan import ScanDisplay
from skdctr.plotting.scan_2d import Scan2DDisplay
from skdctr.plotting.weights import WeightDisplay

__all__ = [
    "ClosureDisplay",
    "ContourDisplay",
    "ProfileDisplay",
    "PullDisplay",
    "Scan2DDisplay",
    "ScanDisplay",
    "WeightDisplay",
]
