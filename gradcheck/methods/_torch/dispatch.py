"""What listens to operations below autograd, or changes them."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode of PyTorch's dispatcher, for code that runs ``eagerly`` or has nothing compiled."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __init_subclass__(cls) -> None:
        """Unlike PyTorch, do not hide the mode from the compiler: that loads it, for seconds."""
