"""The dtypes that a check runs in, with their floating-point facts. ``floats`` computes with them.

The pytest plugin loads this in every project: it imports the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dtype:
    """A binary floating-point format; of a complex dtype that of its two parts.

    ``parts`` is the name of the real dtype of which a complex one has two, empty for a real one.
    ``flushes`` says that subnormal numbers count as 0, as some devices have it, and as bfloat16 is
    defined: many of its kernels take them so, whatever the processor is told.

    Units: ``precision`` is in bits, the hidden one included; a normal number lies in
           2**emin <= |x| < 2**(emax + 1).
    Source: IEEE 754-2019, table 3.5; bfloat16 as in PyTorch's ``torch.finfo``, and Intel,
            BFLOAT16 - Hardware Numerics Definition (2018): denormals count as 0.
    """

    name: str
    precision: int
    emin: int
    emax: int
    parts: str = ""
    flushes: bool = False

    @property
    def is_complex(self) -> bool:
        return bool(self.parts)

    @property
    def real(self) -> str:
        """The name of the dtype in which a real number beside this dtype's is held."""
        return self.parts or self.name

    @property
    def unit_roundoff(self) -> float:
        return 2.0**-self.precision

    @property
    def largest(self) -> float:
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax

    @property
    def smallest_normal(self) -> float:
        return 2.0**self.emin

    @property
    def smallest_subnormal(self) -> float:
        return 2.0 ** (self.emin - self.precision + 1)

    @property
    def underflow_step(self) -> float:
        """The step of numbers below the normal ones, of which rounding loses half at most.

        Flushing loses a whole normal number, as rounding does that has steps of two of them.
        """
        return 2 * self.smallest_normal if self.flushes else self.smallest_subnormal

    @property
    def overflow(self) -> int:
        """The smallest number that rounds to infinity: the largest float and half an ulp more."""
        return ((2 << self.precision) - 1) << (self.emax - self.precision)


FLOAT64 = Dtype("float64", 53, -1022, 1023)
FLOAT32 = Dtype("float32", 24, -126, 127)
FLOAT16 = Dtype("float16", 11, -14, 15)
BFLOAT16 = Dtype("bfloat16", 8, -126, 127, flushes=True)
COMPLEX128 = Dtype("complex128", 53, -1022, 1023, parts="float64")
COMPLEX64 = Dtype("complex64", 24, -126, 127, parts="float32")
DTYPES = {
    dtype.name: dtype for dtype in (FLOAT64, FLOAT32, FLOAT16, BFLOAT16, COMPLEX128, COMPLEX64)
}
DEFAULT_DTYPES = ("float64", "float32")
"""Of a run and of a case that name none."""
