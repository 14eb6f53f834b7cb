"""The implementation as machine code: ``torch.compile`` with the backend ``inductor``.

It takes seconds a call, so that it is asked on request alone. What it needs to be there, a C++
compiler on the CPU, may not be: then it abstains.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch._inductor.config

from gradcheck.answer import Invocation, Said
from gradcheck.methods import Method
from gradcheck.methods.compiled import Compiler, said_of_compiled

METHOD = Method(
    name="inductor",
    order=1,
    share=0.03125,
    share_alone=0.015625,
    subject="the derivative of the code that inductor compiles",
    eager=False,
    compiles=True,
    by_default=False,
)


def answer(invocation: Invocation) -> Iterator[Said]:
    # Files of earlier compilations would be taken for this one's.
    with torch._inductor.config.patch(force_disable_caches=True):
        yield from said_of_compiled(Compiler("inductor", by=" by inductor"), invocation)
