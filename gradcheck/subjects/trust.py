"""Which modules may be imported. Importing runs code, so the answer is no until someone says yes.

Knows no torch, so that collecting and validating can ask.
"""

from __future__ import annotations

from collections.abc import Collection


def refusal(function: str, trusted: Collection[str]) -> str | None:
    """Why ``module:attribute`` may not be imported, and how to allow it; None where it may.

    A trusted name allows that module and everything below it.
    """
    module = function.partition(":")[0]
    parts = module.split(".")
    if any(".".join(parts[: n + 1]) in trusted for n in range(len(parts))):
        return None
    top = parts[0]
    return (
        f"importing {module!r} runs its code, and the module is not trusted: allow it by "
        f"--trust {top} (in a project of your own --gradcheck-trust {top}), or by "
        f'trust = ["{top}"] under [tool.gradcheck] in the pyproject.toml of pytest\'s rootdir'
    )
