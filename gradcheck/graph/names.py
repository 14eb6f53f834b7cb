"""Every name of the formula language: what a case may not take for its own."""

from __future__ import annotations

from gradcheck.graph.complex_functions import COMPLEX_FUNCTIONS
from gradcheck.graph.functions import ARRAY_FUNCTIONS
from gradcheck.ops.table import CALLABLE

CONSTANTS = frozenset({"pi", "e", "inf", "I"})
FUNCTIONS = CALLABLE | ARRAY_FUNCTIONS.keys() | COMPLEX_FUNCTIONS.keys() | {"stop"}
RESERVED = FUNCTIONS | CONSTANTS | {"range"}
