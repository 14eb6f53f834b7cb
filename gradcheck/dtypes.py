"""The dtypes that a check runs in, with their floating-point facts. ``floats`` computes with them.

The pytest plugin loads this in every project: it imports the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dtype:
    """A binary floating-point format.

    Units: ``precision`` is in bits, the hidden one included; a normal number lies in
           2**emin <= |x| < 2**(emax + 1).
    Source: IEEE 754-2019, table 3.5; bfloat16 as in PyTorch's ``torch.finfo``.
    """

    name: str
    precision: int
    emin: int
    emax: int

    @property
    def unit_roundoff(self) -> float:
        return 2.0**-self.precision

    @property
    def largest(self) -> float:
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax

    @property
    def smallest_subnormal(self) -> float:
        return 2.0 ** (self.emin - self.precision + 1)

    @property
    def overflow(self) -> int:
        """The smallest number that rounds to infinity: the largest float and half an ulp more."""
        return ((2 << self.precision) - 1) << (self.emax - self.precision)


FLOAT64 = Dtype("float64", 53, -1022, 1023)
FLOAT32 = Dtype("float32", 24, -126, 127)
DTYPES = {dtype.name: dtype for dtype in (FLOAT64, FLOAT32)}
DEFAULT_DTYPES = ("float64", "float32")
"""Of a run and of a case that name none."""

LATER_DTYPES = ("float16", "bfloat16", "complex128", "complex64")
"""In the case format, and refused with a message until the stage that judges them."""
