"""What a witness says and what is ruled. Everyone reads these types; nobody changes one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:  # numpy costs a tenth of a second, and these types are read by every pytest run
    import numpy as np
    from numpy.typing import NDArray

    from gradcheck.query import Array, Port, Query

Floats: TypeAlias = "NDArray[np.float64]"


class Ruling(StrEnum):
    """An abstention proves nothing and is set apart; the others stand in order, worst last.

    Each is its own text: ``"agree"``.
    """

    AGREE = "agree"
    ABSTAIN = "abstain"  # nothing was proved; never counted as a pass
    KNOWN = "known"
    INACCURATE = "inaccurate"
    DISAGREE = "disagree"

    @property
    def severity(self) -> int:
        """How bad it is; an abstention least of all, as it says nothing beside a judgement."""
        return 0 if self is Ruling.ABSTAIN else 1 + list(Ruling).index(self)


@dataclass(frozen=True, slots=True)
class FiniteDifferenceSettings:
    """Settings with which finite differences can testify at a point.

    ``unseen`` is what may be added to ``atol`` for the rounding of code that cannot be asked for
    it, and ``most`` is the ``atol`` beyond which finite differences say nothing.

    Units: ``step`` is the absolute step in every input entry; ``atol`` and ``rtol`` are those
           of ``torch.autograd.gradcheck``.
    """

    step: float
    atol: float
    rtol: float
    unseen: float = 0.0
    most: float = math.inf


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of an implementation: at one point, or at ``count`` points at once.

    Shapes: ``inputs`` holds one array for each input, in order, each with a leading axis of
            length ``count``; complex128 for an input of complex numbers, else float64.
            ``batched`` says that all points are taken in one call: the implementation acts on
            each point alone or, where they are ``mapped``, is called through ``torch.vmap``.
            Otherwise ``count`` is 1 and the axis is dropped before the call.
            ``outputs`` are those of a single point; None is not judged.
            ``thorough`` asks for every entry, also where each takes a call of its own.
            ``own_code`` says that a user's code is under test, and so not PyTorch itself.
            ``without`` says of witnesses that the case does without why.
            ``elsewhere`` makes the implementation for the other dtypes of the case.
            ``in_place`` makes the implementation's in-place spelling; None where there is none.
            ``again`` are labels of answers, where these alone are asked for once more.
    Units:  every number is exactly representable in ``dtype``.
    """

    function: Callable[..., Any]
    inputs: tuple[Floats, ...]
    batched: bool
    outputs: tuple[Port | None, ...]
    order: int
    dtype: str
    device: str
    seed: int
    mapped: bool = False
    thorough: bool = True
    own_code: bool = False
    without: Mapping[str, str] = field(default_factory=dict)
    first: FiniteDifferenceSettings | None = (
        None  # how gradcheck may testify here; None: it must abstain
    )
    second: FiniteDifferenceSettings | None = None  # the same for gradgradcheck
    elsewhere: Mapping[str, Callable[[], Callable[..., Any]]] = field(default_factory=dict)
    in_place: Callable[[], Callable[..., Any] | None] = lambda: None
    again: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        return len(self.inputs[0])

    @property
    def seeks_defects(self) -> bool:
        """Whether PyTorch's own defects are looked for below a user's code: when first asked."""
        return self.own_code and not self.again

    def asks(self, call: str) -> bool:
        """Whether a call is to be made, of which answers are labelled with more or less words."""
        return not self.again or any(label.startswith(call) for label in self.again)


@dataclass(frozen=True, slots=True)
class Answer:
    """A witness's numbers: what it says that the answer to ``query`` is.

    Shapes: ``numbers`` is [count, *free], as the query leaves sides free.
            ``absent`` maps the position of an input that was given no gradient to the words
            that tell so, before the input's name.
    Units:  ``numbers`` are float64, or complex128, exactly what the dtype under test held.

    ``because`` says what makes it wrong, if it is.
    """

    label: str
    query: Query
    numbers: Array
    absent: Mapping[int, str] = field(default_factory=dict)
    because: str = ""


@dataclass(frozen=True, slots=True)
class Abstention:
    """Why a witness says nothing. ``incapable``: it lacks the means, at every point alike."""

    reason: str
    label: str = ""
    incapable: bool = False
    ruling: ClassVar[Ruling] = Ruling.ABSTAIN


@dataclass(frozen=True, slots=True)
class Violation:
    """What an implementation does that correct code does not, or a comparison that fails.

    ``raised`` is the whole text of the exception behind it, if there is one.
    """

    reason: str
    label: str = ""
    raised: str = ""
    ruling: ClassVar[Ruling] = Ruling.DISAGREE


@dataclass(frozen=True, slots=True)
class Agreement:
    """A comparison that a witness made itself, of so many entries, and that holds."""

    reason: str
    entries: int
    label: str = ""
    ruling: ClassVar[Ruling] = Ruling.AGREE


Remark: TypeAlias = Abstention | Violation | Agreement
"""What a witness can say without numbers."""
Said: TypeAlias = Answer | Remark

Question = Callable[[Invocation], Iterator[Said]]
"""How a witness asks one question about an invocation."""


class Grade(Enum):
    """How an agreeing entry is explained; see docs/judge.md."""

    FAITHFUL = "faithful"  # within 4 ulps
    STABLE = "stable"  # explained by the conditioning of the function
    EXPLAINED = "explained"  # explained only by the rounding of its chain rule
    ILL_CONDITIONED = "ill-conditioned"  # by conditioning, which explains any other number too


@dataclass(frozen=True, slots=True)
class EntryReport:
    """One judged entry.

    ``at`` maps each input's name to a number, complex or not, or nested lists of them; ``index``
    names the entry (``∂y/∂x[0, 1]``, ``re ∂loss/∂z``); ``true`` is a decimal string of certified
    digits and ``radius`` the enclosure's (at a kink ``true`` is the hull, as text). ``label`` says
    which call answered.
    Where the number is no single derivative, ``directions`` are the cotangent and the tangents
    that it was contracted with; ``only_so`` says that the derivatives themselves are right.
    A finding in words has no ``true``.
    """

    at: dict[str, Any]
    index: str
    label: str
    got: float
    true: str
    radius: str
    ulps: float
    relative: float
    ruling: Ruling
    reason: str
    grade: Grade | None = None
    directions: tuple[tuple[str, tuple[complex, ...]], ...] = ()
    only_so: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """What one witness says at one input.

    ``ruling`` is that of its worst entry there, which is ``entry_report``; where it gave no number,
    ``note`` says what it said.
    """

    witness: str
    ruling: Ruling
    entry_report: EntryReport | None = None
    note: str = ""


class GuessKind(StrEnum):
    """What kind of error failing numbers look like."""

    ABSENT = "absent"  # no gradient came
    NOT_A_NUMBER = "not a number"
    INFINITE = "infinite"
    ZERO = "zero"
    SIGN = "sign"
    FACTOR = "factor"
    CONJUGATE = "conjugate"
    DIRECTION = "direction"  # the cotangent, or the tangent, is not used as it is to be
    MOVED = "moved"  # the right numbers in other places
    STALE = "stale"
    VALUE = "value"  # in place of the derivative
    DIAGONAL = "diagonal"
    SUM = "sum"  # over another axis, or none
    TERM = "term"
    CHAIN = "chain"  # a factor of the chain rule
    DIGITS = "digits"  # a constant has too few
    MASK = "mask"  # of the formula, another or none
    TIES = "ties"  # of equal numbers each has the whole gradient
    CONSTANT = "constant"  # the same at every point
    OFFSET = "offset"
    NOT_ZERO = "not zero"
    PRECISION = "precision"
    REGION = "region"  # wrong in some place, no one knows how


@dataclass(frozen=True, slots=True)
class Guess:
    """What kind of error it looks like, in a few words; ``place`` is where alone it does."""

    kind: GuessKind
    text: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.text}, only {self.place}" if self.place else self.text


CASE_ITSELF, KNOWN_FAILURES, NOTHING_JUDGED, OWN_DEFECT = (
    "the case itself",
    "known_failures.yaml",
    "nothing judged",
    "a defect of gradcheck, not of PyTorch",
)
NO_CODE = (CASE_ITSELF, KNOWN_FAILURES, NOTHING_JUDGED, OWN_DEFECT)
"""Blame that falls on no code under test."""

NO_LONGER_FAILS = "the known failure no longer fails"
"""How the reason begins, after its place, of a check that is right and listed as failing."""


VARYING, VARYING_BY = "varying", "varying by ulps"
"""Of an outcome's counts: how many numbers an accelerator gives otherwise when it is asked again,
and by how many ulps at most."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check ended.

    ``worst`` is the judged entry that is ruled worst, of these the one of largest error in ulps;
    ``reason`` is why. The rest is there where the check
    failed: ``failures`` are the failing entries, worst first; ``smallest`` those at the smallest
    failing input; ``statements`` are those of every witness at ``stated_at``, an input where what
    ``blame`` says shows; ``blame`` says who is wrong and ``guess`` what kind of error it looks like
    (None where nothing fits). ``place`` is the ``file:line`` of a fault in the case itself, where
    it is not the whole case. ``route`` names the derivations that certified the derivatives,
    ``symbolic+forward`` or ``forward``; empty where none was judged. ``visited`` counts the points
    by kind: declared ones, those of the covering set and drawn ones. ``errors`` are pairs of an
    input and the worst error there, in ulps, at some points; ``errors_over`` says what runs: the
    only number by its name, or ``magnitude``, the largest among all entries.
    """

    verdict: Ruling
    reason: str
    entries: int
    abstained: int
    points: int
    seconds: float
    counts: dict[str, int]  # of entries by ruling and by grade, and of points judged
    worst: EntryReport | None = None
    failures: tuple[EntryReport, ...] = ()
    smallest: tuple[EntryReport, ...] = ()
    statements: tuple[Statement, ...] = ()
    stated_at: dict[str, Any] = field(default_factory=dict)
    blame: str = ""
    guess: Guess | None = None
    place: str = ""
    route: str = ""
    visited: dict[str, int] = field(default_factory=dict)
    errors: tuple[tuple[float, float], ...] = ()
    errors_over: str = ""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How hard to look: the same for every check of a run."""

    points: int = 64
    seed: int = 0
    strict_accuracy: bool = False

    def fails(self, ruling: Ruling) -> bool:
        """Whether a check that is ruled so fails in this run."""
        return ruling is Ruling.DISAGREE or (self.strict_accuracy and ruling is Ruling.INACCURATE)
