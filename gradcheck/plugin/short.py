"""The short spellings of the options, for those who know that no other plugin has them.

Loaded by this repository's root conftest and by ``gradcheck run`` (``-p gradcheck.plugin.short``);
never by the installed plugin, since two owners of ``--device`` stop pytest.
"""

from __future__ import annotations

import pytest

from gradcheck.plugin.options import add_options, one_owner


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    with one_owner(parser, pluginmanager):
        add_options(parser, "")
