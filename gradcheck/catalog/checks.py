"""What there is to do: every case, variant and implementation with every witness, by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.catalog.known_failures import KnownFailure
from gradcheck.methods import DEFAULT_WITNESSES, METHODS, WITNESSES

__all__ = ["WITNESSES", "Check", "plan"]


@dataclass(frozen=True, slots=True)
class Check:
    """One witness's examination of one implementation, in one dtype on one device.

    ``known`` are the known failures that may be about it, and ``elsewhere`` those of others that
    reach it; whether one does depends on the version of PyTorch too, see
    ``KnownFailure.applies``.
    """

    case: Case
    variant: Variant
    implementation: Implementation
    witness: str
    device: str
    dtype: str
    name: str
    known: tuple[KnownFailure, ...] = ()
    elsewhere: tuple[KnownFailure, ...] = ()

    @property
    def on_trial(self) -> str:
        """The code on trial as its author wrote it, empty for the formula's own translation.

        Where the names of the checks hold its number, it is told which number that is.
        """
        text, all_of_them = self.implementation.text, self.case.implementations
        if self.case.calling is not None and self.implementation.is_own_code:
            text = f"{text}, called as {self.case.calling.text}"
        if len(all_of_them) == 1:
            return text
        number = all_of_them.index(self.implementation)
        return f"{text}  (implementation {number} of 0 to {len(all_of_them) - 1})"


def plan(
    cases: Iterable[Case],
    *,
    devices: Sequence[str],
    dtypes: Sequence[str],
    witnesses: Sequence[str],
    known: Sequence[KnownFailure] = (),
) -> list[Check]:
    """Every check of the cases, in an order that depends on nothing else.

    Without ``dtypes`` each case has its own; with them those of its own, and those in which it runs
    on request alone, that are among them. Its order limits the witnesses. A witness that a case is
    `without` has its check all the same: it reports the reason.
    """
    chosen = [witness for witness in WITNESSES if witness in witnesses]
    return [check for case in cases for check in _checks(case, devices, dtypes, chosen, known)]


def count(case: Case) -> int:
    """How many checks a case has on one device, by the default witnesses in all its dtypes."""
    witnesses = sum(_applies(witness, case) for witness in DEFAULT_WITNESSES)
    return len(case.variants) * len(case.implementations) * witnesses * len(case.dtypes)


def _applies(witness: str, case: Case) -> bool:
    return METHODS[witness].order <= case.order


def _dtypes(case: Case, asked: Sequence[str]) -> Sequence[str]:
    if not asked:
        return case.dtypes
    return [each for each in (*case.dtypes, *case.on_request) if each in asked]


def _checks(
    case: Case,
    devices: Sequence[str],
    dtypes: Sequence[str],
    witnesses: Sequence[str],
    known: Sequence[KnownFailure],
) -> Iterator[Check]:
    file = PurePath(case.where.path).name
    about = [each for each in known if (each.file, each.case) == (file, case.name)]
    for variant, (number, implementation), witness, device, dtype in itertools.product(
        case.variants,
        enumerate(case.implementations),
        [each for each in witnesses if _applies(each, case)],
        devices,
        _dtypes(case, dtypes),
    ):
        which = str(number) if len(case.implementations) > 1 else ""
        parts = (variant.name, which, witness, device, dtype)
        name = f"{case.name}[{'-'.join(part for part in parts if part)}]"
        check = Check(case, variant, implementation, witness, device, dtype, name)
        mine = tuple(each for each in about if each.concerns(check))
        reaching = tuple(each for each in known if each.reaches(check))
        yield replace(check, known=mine, elsewhere=reaching) if mine or reaching else check
