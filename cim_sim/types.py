"""Kinds of numbers and arrays that all packages share; a model of pydantic checks the numbers."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

Count = Annotated[int, Field(ge=1)]
"""1 or more."""
Natural = Annotated[int, Field(ge=0)]
"""0 or more."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]
"""Positions among the choices of each parameter of a space, [designs, parameters]."""
