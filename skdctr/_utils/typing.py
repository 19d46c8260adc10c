"""Names of the types that annotations use all over the package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatArray"]


FloatArray = NDArray[np.float64]
