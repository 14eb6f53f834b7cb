"""One file, one witness, found by its name; its row in ``catalog.witness_names`` plans its checks.

Finding the names imports no witness, and so no torch. What the witnesses share stands in the
package ``_torch``, which is no file and so no witness.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from gradcheck.answer import Claim, Finding, Invocation

NAMES = tuple(sorted(module.name for module in iter_modules(__path__) if not module.ispkg))


class Witness(Protocol):
    """What every file of this folder offers."""

    def testify(self, invocation: Invocation) -> Iterator[Claim | Finding]:
        """Everything the witness says about the invocation: numbers to judge, or findings."""
        ...


def witness(name: str) -> Witness:
    """The witness of that name.

    Errors: KeyError for a name that is not in ``NAMES``.
    """
    if name not in NAMES:
        raise KeyError(f"no witness {name!r}; there are {', '.join(NAMES)}")
    return cast(Witness, import_module(f"{__name__}.{name}"))
