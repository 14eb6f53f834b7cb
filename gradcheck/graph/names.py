"""Every name of the formula language: what a case may not take for its own."""

from __future__ import annotations

from gradcheck.graph.array_functions import ARRAY_FUNCTIONS
from gradcheck.ops.table import CALLABLE

CONSTANTS = frozenset({"pi", "e", "inf", "I"})
COMPLEX_FUNCTIONS = frozenset({"re", "im", "conj", "arg"})
FUNCTIONS = CALLABLE | frozenset(ARRAY_FUNCTIONS) | COMPLEX_FUNCTIONS
RESERVED = FUNCTIONS | CONSTANTS | {"range"}
