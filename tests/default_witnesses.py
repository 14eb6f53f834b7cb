"""Which witnesses a run asks: tests that are not about them name and count them by these."""

from gradcheck.methods import DEFAULT_WITNESSES, METHODS, WITNESSES

ALL_NAMES = ", ".join(WITNESSES)


def asked(order=2):
    """The witnesses that a case of an order has checks by, in the order of its checks."""
    return [name for name in DEFAULT_WITNESSES if METHODS[name].order <= order]
