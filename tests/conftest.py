"""One Hypothesis profile for every test: no verdict on our code depends on how busy a machine is.

It builds on the profile in force, so that in CI the examples are still the same in every run. And
nothing is taken from another process, of which a test might have changed the code.

Tests start hundreds of processes that import the package. Where the environment forbids to keep
what is compiled, each would compile it anew, a third of its time; so that is allowed to them.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
os.environ["GRADCHECK_NO_CACHE"] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
