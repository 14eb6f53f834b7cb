"""Where libraries may leave what they keep between runs, so that the current folder stays clean."""

from __future__ import annotations

import os
from pathlib import Path

_VARIABLE = "HYPOTHESIS_STORAGE_DIRECTORY"


def keep_current_folder_clean() -> None:
    """Send Hypothesis, which else makes a folder here, to the user's cache; pytest inherits it."""
    if _VARIABLE in os.environ:
        return
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        folder = Path(base) if base else Path.home() / ".cache"
    except RuntimeError:  # no home: Hypothesis decides, and does without a folder if it must
        return
    os.environ[_VARIABLE] = str(folder / "gradcheck" / "hypothesis")
