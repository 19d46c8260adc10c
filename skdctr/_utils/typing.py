"""Types that annotations all over the package use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatArray"]


FloatArray = NDArray[np.float64]
