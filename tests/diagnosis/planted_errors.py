"""Errors of known kinds, planted in the backward of functions of many shapes; and what each is.

The true gradient is PyTorch's own of the function written plainly; a fault changes it, or the
cotangent, or the function that it is the gradient of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from culprits import case_of, check_of
from torch import Tensor

from gradcheck.answer import Guess, Ruling, RunOptions
from gradcheck.diagnosis.evidence import gather
from gradcheck.diagnosis.guesses import guess_kind
from gradcheck.points.generate import single
from gradcheck.run.observation import ALL_CALLS, Asked
from gradcheck.run.session import session_of

Tensors = tuple[Tensor, ...]


INDEX = torch.tensor([0, 2, 0, 1, 2, 2])
COUNTS = torch.tensor([0, 2, 0, 1])


def attention(q, k, v, diagonal):
    """Attention in which each row sees so many entries beyond its own."""
    scores = torch.exp(q @ k.mT).tril(diagonal)
    return scores / scores.sum(1, keepdim=True) @ v


def windowed(q, k, v, last, first):
    """Attention in which each row sees what lies between two diagonals."""
    scores = torch.exp(q @ k.mT).tril(last).triu(first)
    return scores / scores.sum(1, keepdim=True) @ v


def smoothed(x, less, more):
    """Cross-entropy with targets of 1 - ``less`` + ``more``, and ``more`` elsewhere."""
    chosen = x.new_tensor([[1, 0, 0, 0], [0, 0, 1, 0]])
    return -(x.log_softmax(1) * ((1 - less) * chosen + more)).sum(1)


def looped(z, f, h):
    """The states of a gated loop, the first with them."""
    states = [h]
    for gate, new in zip(f.unbind(-1), z.unbind(-1), strict=True):
        states.append(gate * states[-1] + (1 - gate) * new)
    return torch.stack(states, -1)


def correlated(x, y, count):
    """The product of two normed rows, whose squares are divided by a count."""
    norms = [torch.sqrt((each**2).sum() / count + 0.25) for each in (x, y)]
    return x * y / norms[0] / norms[1] + x.mean()


@dataclass(frozen=True, slots=True)
class Plain:
    """A function in the formula language, and the same in torch."""

    declaration: str
    torch: Callable[..., Tensor]


D = 5
FUNCTIONS = {
    "swish": Plain(
        "{formula: x / (1 + exp(-x)), inputs: {x: '(-6, 6)'}, order: 1}",
        lambda x: x * torch.sigmoid(x),
    ),
    "bell": Plain(
        "{formula: exp(-x**2 / (2*s**2)), inputs: {x: '(-4, 4)'}, constants: {s: 1.7}, order: 1}",
        lambda x: torch.exp(-(x**2) / (2 * 1.7**2)),
    ),
    "plane": Plain(
        "{formula: sin(x)*y + exp(x*y/4), inputs: {x: '(-3, 3)', y: '(-3, 3)'}, order: 1}",
        lambda x, y: torch.sin(x) * y + torch.exp(x * y / 4),
    ),
    "gated": Plain(
        "{formula: x / (1 + exp(-b*x)), inputs: {x: '(-4, 4)', b: '(1/2, 3)'}, order: 1}",
        lambda x, b: x * torch.sigmoid(b * x),
    ),
    "squashed": Plain(
        "{formula: sum(tanh(x) * w), order: 1, inputs: {x: {domain: '(-2, 2)', shape: [4]},"
        " w: {domain: '(-3, 3)', shape: [4]}}}",
        lambda x, w: (torch.tanh(x) * w).sum(),
    ),
    "running": Plain(
        "{formula: cumsum(x**2), order: 1, inputs: {x: {domain: '(-3, 3)', shape: [5]}}}",
        lambda x: (x**2).cumsum(-1),
    ),
    "rotated": Plain(
        "{formula: 'concat([x[0:2]*c - x[2:4]*s, x[2:4]*c + x[0:2]*s])', order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [4]}, c: {domain: '(-3, 3)', shape: [2]},"
        " s: {domain: '(-3, 3)', shape: [2]}}}",
        lambda x, c, s: torch.cat([x[:2] * c - x[2:] * s, x[2:] * c + x[:2] * s]),
    ),
    "filtered": Plain(
        "{formula: '[sum(x[i:i+3]*w) for i in range(4)]', order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [6]}, w: {domain: '(-3, 3)', shape: [3]}}}",
        lambda x, w: x.unfold(-1, 3, 1) @ w,
    ),
    "inverse": Plain(
        "{formula: inv(A) @ B, order: 1, inputs: {A: {kind: invertible, shape: [2, 2]},"
        " B: {domain: '(-3, 3)', shape: [2, 2]}}}",
        lambda a, b: torch.linalg.inv(a) @ b,
    ),
    "clipped": Plain(
        "{formula: 'where(abs(x - y) <= 3/4, (x - y)**2/2, 3/4*(abs(x - y) - 3/8))', order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [4]}, y: {domain: '(-3, 3)', shape: [4]}}}",
        lambda x, y: torch.nn.functional.huber_loss(x, y, delta=0.75, reduction="none"),
    ),
    "softmax": Plain(
        "{formula: exp(x) / sum(exp(x)), inputs: {x: {domain: '(-3, 3)', shape: [5]}}, order: 1}",
        lambda x: torch.softmax(x, -1),
    ),
    "rms": Plain(
        "{formula: x / sqrt(mean(x**2) + 1/4), order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [5]}}}",
        lambda x: x * torch.rsqrt((x**2).mean() + 0.25),
    ),
    "grouped": Plain(
        "{formula: '[[exp(k[h//2, i]) for i in range(3)] for h in range(4)]', order: 1,"
        " inputs: {k: {domain: '(-3, 3)', shape: [2, 3]}}}",
        lambda k: torch.exp(k.repeat_interleave(2, -2)),
    ),
    "padded": Plain(
        "{let: {p: 'concat([zeros([2]), x, zeros([2])])'}, order: 1,"
        " formula: 'p[0:8]/2 + 3*p[2:10] - p[4:12]',"
        " inputs: {x: {domain: '(-3, 3)', shape: [8]}}}",
        lambda x: padded(x)[..., :-4] / 2 + 3 * x - padded(x)[..., 4:],
    ),
    "linear": Plain(
        "{formula: x @ w + b, order: 1, inputs: {x: {domain: '(-3, 3)', shape: [3, 3]},"
        " w: {domain: '(-3, 3)', shape: [3, 3]}, b: {domain: '(-3, 3)', shape: [3]}}}",
        lambda x, w, b: x @ w + b,
    ),
    "scaled": Plain(
        "{formula: tanh(x) * g, order: 1, inputs: {x: {domain: '(-3, 3)', shape: [3, 3]},"
        " g: {domain: '(-3, 3)', shape: [3]}}}",
        lambda x, g: torch.tanh(x) * g,
    ),
    "normed": Plain(
        "{formula: '(x - m) / sqrt(mean((x - m)**2, dim=1, keepdim=True) + 1/100)', order: 1,"
        " let: {m: 'mean(x, dim=1, keepdim=True)'},"
        " inputs: {x: {domain: '(-3, 3)', shape: [3, 4]}}}",
        lambda x: torch.nn.functional.layer_norm(x, x.shape[-1:], eps=0.01),
    ),
    "gelu": Plain(
        "{formula: 'x/2 * (1 + erf(x/sqrt(2)))', inputs: {x: '(-4, 4)'}, order: 1}",
        torch.nn.functional.gelu,
    ),
    "averaged": Plain(
        "{formula: '[sum([(1 - a)*a**(t - s)*x[s] for s in range(t + 1)]) for t in range(4)]',"
        " order: 1, inputs: {x: {domain: '(-3, 3)', shape: [4]}, a: '(1/10, 9/10)'}}",
        lambda x, a: torch.stack(
            [sum((1 - a) * a ** (t - s) * x[s] for s in range(t + 1)) for t in range(4)]
        ),
    ),
    "within a window": Plain(
        "{formula: 'e / sum(e, dim=1, keepdim=True) @ v', order: 1,"
        " let: {e: 'triu(tril(exp(q @ transpose(k, 0, 1))), -1)'},"
        " inputs: {q: {domain: '(-2, 2)', shape: [4, 2]}, k: {domain: '(-2, 2)', shape: [4, 2]},"
        " v: {domain: '(-2, 2)', shape: [4, 2]}}}",
        lambda q, k, v: windowed(q, k, v, 0, -1),
    ),
    "averaged by three": Plain(
        "{let: {p: 'concat([zeros([1]), exp(x), zeros([1])])'}, order: 1,"
        " formula: '(p[0:5] + p[1:6] + p[2:7])/3', inputs: {x: {domain: '(-3, 3)', shape: [5]}}}",
        lambda x: torch.nn.functional.avg_pool1d(x.exp()[..., None, :], 3, 1, 1)[..., 0, :],
    ),
    "grouped norm": Plain(
        "{formula: 'c / sqrt(mean(c**2, dim=1, keepdim=True) + 1/100)', order: 1,"
        " let: {c: 'x - mean(x, dim=1, keepdim=True)'},"
        " inputs: {x: {domain: '(-3, 3)', shape: [2, 6]}}}",
        lambda x: torch.nn.functional.layer_norm(x, (6,), eps=0.01),
    ),
    "label smoothing": Plain(
        "{formula: '[log(sum(exp(x[i]))) - 0.9*x[i, i] - 0.1/4*sum(x[i]) for i in range(3)]',"
        " order: 1, inputs: {x: {domain: '(-3, 3)', shape: [3, 4]}}}",
        lambda x: torch.nn.functional.cross_entropy(
            x, torch.arange(3), reduction="none", label_smoothing=0.1
        ),
    ),
    "causal": Plain(
        "{formula: 'e / sum(e, dim=1, keepdim=True) @ v', order: 1,"
        " let: {e: 'tril(exp(q @ transpose(k, 0, 1)))'},"
        " inputs: {q: {domain: '(-2, 2)', shape: [4, 2]}, k: {domain: '(-2, 2)', shape: [4, 2]},"
        " v: {domain: '(-2, 2)', shape: [4, 2]}}}",
        lambda q, k, v: attention(q, k, v, 0),
    ),
    "fused": Plain(
        "{formula: 'e / sum(e, dim=1, keepdim=True) @ v', order: 1,"
        " let: {e: 'tril(exp(q @ transpose(k, 0, 1) / 2))'},"
        " inputs: {q: {domain: '(-2, 2)', shape: [4, 2]}, k: {domain: '(-2, 2)', shape: [4, 2]},"
        " v: {domain: '(-2, 2)', shape: [4, 2]}}}",
        lambda q, k, v: attention(q / 2, k, v, 0),
    ),
    "multiplied": Plain(
        "{formula: cumprod(x), order: 1, inputs: {x: {domain: '(1/2, 2)', shape: [5]}}}",
        lambda x: x.cumprod(-1),
    ),
    "smoothed": Plain(
        "{formula: '-sum((x - log(sum(exp(x), dim=1, keepdim=True))) * (9/10*t + 1/40), dim=1)',"
        " constants: {t: [[1, 0, 0, 0], [0, 0, 1, 0]]}, order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [2, 4]}}}",
        lambda x: smoothed(x, 0.1, 0.025),
    ),
    "stretched": Plain(
        "{formula: 'exp(-3*x) + x*exp(-5*x)', order: 1, inputs: {x: '(-1, 1)'}}",
        lambda x: torch.exp(-3 * x) + x * torch.exp(-5 * x),
    ),
    "pooled": Plain(
        "{formula: '[amax(x[2*i:2*i+3]) for i in range(3)]', order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [7]}}}",
        lambda x: x.unfold(-1, 3, 2).amax(-1),
    ),
    "entropy": Plain(
        "{formula: 'log(sum(exp(x), dim=1)) - sum(x*t, dim=1)', order: 1,"
        " constants: {t: [[1, 0, 0], [0, 0, 1]]}, inputs: {x: {domain: '(-3, 3)', shape: [2, 3]}}}",
        lambda x: torch.nn.functional.cross_entropy(x, torch.tensor([0, 2]), reduction="none"),
    ),
    "farther": Plain(
        "{formula: 'sqrt(sum((x - y)**2)) - sqrt(sum((x - z)**2))', order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [3]}, y: {domain: '(-3, 3)', shape: [3]},"
        " z: {domain: '(-3, 3)', shape: [3]}}}",
        lambda x, y, z: (x - y).norm() - (x - z).norm(),
    ),
    "direction": Plain(
        "{formula: x / sqrt(sum(x**2)), order: 1, inputs: {x: {domain: '(1/2, 3)', shape: [4]}}}",
        lambda x: x / x.norm(),
    ),
    "step size": Plain(
        "{formula: s*stop(round(x/s)) + x - stop(x), order: 1,"
        " inputs: {x: {domain: '(-2, 2)', shape: [3]}, s: '(1/4, 1)'}}",
        lambda x, s: s * (x / s).round().detach() + x - x.detach(),
    ),
    "rows": Plain(
        "{formula: 't[[2, 0, 3], :] * w', order: 1, inputs: {t: {domain: '(-3, 3)', shape: [4, 2]},"
        " w: {domain: '(-3, 3)', shape: [3, 2]}}}",
        lambda t, w: t[[2, 0, 3]] * w,
    ),
    "between": Plain(
        "{formula: '[x[0], (x[0] + x[1])/2, x[1], (x[1] + x[2])/2, x[2]]', order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [3]}}}",
        lambda x: torch.stack([x[0], (x[0] + x[1]) / 2, x[1], (x[1] + x[2]) / 2, x[2]]),
    ),
    "largest": Plain(
        "{formula: amax(x), order: 1, inputs: {x: {domain: '(-3, 3)', shape: [5]}}}",
        lambda x: x.amax(-1),
    ),
    "larger": Plain(
        "{formula: 'max(x, y)*x', order: 1, inputs: {x: '(-3, 3)', y: '(-3, 3)'}}",
        lambda x, y: torch.maximum(x, y) * x,
    ),
    "rotation": Plain(
        "{formula: z*w + z**2, order: 1, dtypes: [complex128],"
        " inputs: {z: {domain: complex, shape: [3]}, w: {domain: complex, shape: [3]}}}",
        lambda z, w: z * w + z**2,
    ),
    "looked up": Plain(
        "{formula: 'sum(t[[0, 2, 0, 1, 2, 2], :]**2 * w)', order: 1,"
        " inputs: {t: {domain: '(-3, 3)', shape: [3, 2]}, w: {domain: '(-3, 3)', shape: [6, 2]}}}",
        lambda t, w: (t[INDEX] ** 2 * w).sum(),
    ),
    "thrice": Plain(
        "{formula: sin(x)*y + exp(x/4)*y**2 + x**2, order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [4]}, y: {domain: '(-3, 3)', shape: [4]}}}",
        lambda x, y: torch.sin(x) * y + torch.exp(x / 4) * y**2 + x**2,
    ),
    "energy": Plain(
        "{formula: sum(x**3 * w), order: 1, inputs: {x: {domain: '(-3, 3)', shape: [4]},"
        " w: {domain: '(-3, 3)', shape: [4]}}}",
        lambda x, w: (x**3 * w).sum(),
    ),
    "weighed": Plain(
        "{formula: '(x - y)**2*stop(exp(y))', order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [3]}, y: {domain: '(-3, 3)', shape: [3]}}}",
        lambda x, y: (x - y) ** 2 * y.detach().exp(),
    ),
    "counted": Plain(
        "{formula: 'where(n < 1, log(1 + exp(x)), x**2 - n*x)', constants: {n: [0, 2, 0, 1]},"
        " order: 1, inputs: {x: {domain: '(-3, 3)', shape: [4]}}}",
        lambda x: torch.where(COUNTS < 1, x.exp().log1p(), x**2 - COUNTS * x),
    ),
    "circular": Plain(
        "{formula: 'log(besseli(0, k)) - k*cos(x)', order: 1,"
        " inputs: {x: '(-3, 3)', k: '(1/4, 5)'}}",
        lambda x, k: torch.special.i0(k).log() - k * torch.cos(x),
    ),
    "capped": Plain(
        "{formula: '3*tanh(x*y/3)', order: 1, inputs: {x: {domain: '(-3, 3)', shape: [3]},"
        " y: {domain: '(-3, 3)', shape: [3]}}}",
        lambda x, y: 3 * torch.tanh(x * y / 3),
    ),
    "nested": Plain(
        "{formula: 'sin(exp(x))', order: 1, inputs: {x: {domain: '(-2, 2)', shape: [3]}}}",
        lambda x: torch.sin(torch.exp(x)),
    ),
    "loop": Plain(
        "{let: {h1: 'f[0]*h + (1 - f[0])*z[0]', h2: 'f[1]*h1 + (1 - f[1])*z[1]',"
        " h3: 'f[2]*h2 + (1 - f[2])*z[2]'}, formula: '[o[0]*h1, o[1]*h2, o[2]*h3]', order: 1,"
        " inputs: {z: {domain: '(-3, 3)', shape: [3]}, f: {domain: '(0, 1)', shape: [3]},"
        " o: {domain: '(-3, 3)', shape: [3]}, h: '(-3, 3)'}}",
        lambda z, f, o, h: o * looped(z, f, h)[..., 1:],
    ),
    "correlated": Plain(
        "{formula: 'x*y/sqrt(mean(x**2) + 1/4)/sqrt(mean(y**2) + 1/4) + mean(x)', order: 1,"
        " inputs: {x: {domain: '(-3, 3)', shape: [5]}, y: {domain: '(-3, 3)', shape: [5]}}}",
        lambda x, y: correlated(x, y, 5),
    ),
    "symmetric part": Plain(
        "{formula: 'inv((A + transpose(A, 0, 1))/2) @ b', order: 1,"
        " inputs: {A: {kind: positive_definite, shape: [2, 2]},"
        " b: {domain: '(-3, 3)', shape: [2]}}}",
        lambda a, b: torch.linalg.solve((a + a.mT) / 2, b),
    ),
    "volume": Plain(
        "{formula: sqrt(det(A)), inputs: {A: {kind: positive_definite, shape: [2, 2]}}, order: 1}",
        lambda a: torch.linalg.det(a).sqrt(),
    ),
}


@dataclass(frozen=True, slots=True)
class Call:
    """What a backward knows: the inputs, the cotangent, the function; ``left`` by earlier calls."""

    inputs: Tensors
    cotangent: Tensor
    function: Callable[..., Tensor]
    left: dict[str, object] = field(default_factory=dict)

    def gradients(
        self,
        cotangent: Tensor | None = None,
        function: Callable[..., Tensor] | None = None,
        inputs: Tensors | None = None,
    ) -> Tensors:
        """The true gradients, of another cotangent, function or input where one is given."""
        with torch.enable_grad():
            leaves = [each.detach().requires_grad_() for each in inputs or self.inputs]
            value = (function or self.function)(*leaves)
            weight = self.cotangent if cotangent is None else cotangent
            return torch.autograd.grad(value, leaves, weight)


@dataclass(frozen=True, slots=True)
class Planted:
    """An error, where it is planted, and the guess that is right: its kind, and words of it."""

    name: str
    functions: tuple[str, ...]
    act: Callable[[Call], tuple[Tensor | None, ...]]
    kinds: tuple[str, ...]
    words: tuple[str, ...] = ()

    def is_told_by(self, guess: Guess | None) -> bool:
        """Whether a guess has the kind and the words; of no kind none is to be made."""
        if guess is None or not self.kinds:
            return guess is None and not self.kinds
        return guess.kind in self.kinds and all(word in str(guess) for word in self.words)


def every(change: Callable[[Tensor], Tensor | None]) -> Callable[[Call], tuple[Tensor | None, ...]]:
    return lambda call: tuple(change(each) for each in call.gradients())


def only(k: int, change: Callable[[Tensor], Tensor | None]) -> Callable[[Call], Tensors]:
    return lambda call: tuple(
        change(each) if number == k else each for number, each in enumerate(call.gradients())
    )  # type: ignore[return-value]


def times(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient * factor


def at(index: object, change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def changed(gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        gradient[index] = change(gradient[index])
        return gradient

    return changed


def in_dtype(dtype: torch.dtype) -> Callable[[Call], Tensors]:
    def act(call: Call) -> Tensors:
        inputs = tuple(each.to(dtype) for each in call.inputs)
        found = call.gradients(call.cotangent.to(dtype), inputs=inputs)
        return tuple(g.to(x.dtype) for g, x in zip(found, call.inputs, strict=True))

    return act


def where(condition: Callable[..., Tensor], change: Callable[[Tensor], Tensor]):
    def act(call: Call) -> Tensors:
        found = condition(*call.inputs)
        return tuple(torch.where(found, change(g), g) for g in call.gradients())

    return act


def instead(function: Callable[..., Tensor]) -> Callable[[Call], Tensors]:
    """The gradient of another function, or of the same with a part detached."""
    return lambda call: call.gradients(function=function)


def cotangent(change: Callable[[Tensor], Tensor]) -> Callable[[Call], Tensors]:
    return lambda call: call.gradients(change(call.cotangent))


def stale(what: str) -> Callable[[Call], Tensors]:
    def act(call: Call) -> Tensors:
        own = {"input": call.inputs, "cotangent": call.cotangent}
        old = call.left.get(what, own[what])
        call.left[what] = own[what]
        if what == "input":
            fits = [each.shape for each in old] == [each.shape for each in call.inputs]
            return call.gradients(inputs=old if fits else call.inputs)
        return call.gradients(old if old.shape == call.cotangent.shape else call.cotangent)

    return act


def wrong_axis(call: Call) -> Tensors:
    x, _ = call.inputs
    right = call.gradients()
    return right[0], (call.cotangent * torch.tanh(x)).sum(-1)


def not_summed(call: Call) -> Tensors:
    x, _ = call.inputs
    return call.gradients()[0], (call.cotangent * torch.tanh(x))[..., 0, :]


def diagonal_alone(call: Call) -> Tensors:
    (x,) = call.inputs
    s = torch.softmax(x, -1)
    return (call.cotangent * s * (1 - s),)


def noise(size: float) -> Callable[[Call], Tensors]:
    """Errors that no rule makes, the same at each call of the same numbers."""

    def noisy(gradient: Tensor, salt: Tensor) -> Tensor:
        place = torch.arange(gradient.numel()).reshape(gradient.shape)
        return gradient * (1 + size * torch.sin(1 + 1e4 * gradient + 1e5 * salt + place))

    return lambda call: tuple(noisy(each, call.inputs[0].sum()) for each in call.gradients())


def rounded(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Numbers of a shorter format, with the gradient of the tensor."""
    return tensor + (tensor.to(dtype).to(tensor.dtype) - tensor).detach()


def masked_too_soon(call: Call) -> Tensors:
    """No row sees its own entry; the first, which would see none, is right."""

    def function(q, k, v):
        scores = torch.exp(q @ k.mT)
        seen = torch.ones(4, 4, dtype=torch.bool).tril(-1)
        seen[0, 0] = True
        scores = torch.where(seen, scores, torch.zeros_like(scores))
        return scores / scores.sum(1, keepdim=True) @ v

    return call.gradients(function=function)


def read_too_early(call: Call) -> Tensors:
    """The gradient by what each state is multiplied with is made of the one before."""
    z, f, _, h = call.inputs
    by_z, by_f, _, by_h = call.gradients()
    return by_z, by_f, call.cotangent * looped(z, f, h)[..., :-1], by_h


def capped_twice(call: Call) -> Tensors:
    x, y = call.inputs
    slope = call.cotangent * (1 - (3 * torch.tanh(x * y / 3)) ** 2)
    return slope * y, slope * x


def ties_undivided(call: Call) -> Tensors:
    (x,) = call.inputs
    return (call.cotangent[..., None] * (x == x.amax(-1, keepdim=True)),)


def two_ties_undivided(call: Call) -> Tensors:
    x, y = call.inputs
    larger = torch.maximum(x, y)
    return call.cotangent * (larger + x * (x >= y)), call.cotangent * x * (y >= x)


def unconjugated(call: Call) -> Tensors:
    z, w = call.inputs
    return call.cotangent * (w + 2 * z), call.cotangent * z


def last_of_index(call: Call) -> Tensors:
    table, weights = call.inputs
    by_row = 2 * call.cotangent * table[INDEX] * weights
    gradient = torch.zeros_like(table)
    for number, row in enumerate(INDEX.tolist()):
        gradient[row] = by_row[number]
    return gradient, call.gradients()[1]


def swish_without_b(call: Call) -> Tensors:
    x, b = call.inputs
    s = torch.sigmoid(b * x)
    return call.cotangent * (s + x * s * (1 - s)), call.gradients()[1]


def swish_without_the_rest(call: Call) -> Tensors:
    """A factor of 1 - sigmoid is missing in the second term."""
    x, b = call.inputs
    s = torch.sigmoid(b * x)
    return call.cotangent * (s + b * x * s), call.gradients()[1]


def rms_with(root: Callable[[Tensor], Tensor]) -> Callable[[Call], Tensors]:
    """The backward of RMS norm by another reciprocal root, which it has saved."""

    def act(call: Call) -> Tensors:
        (x,), g = call.inputs, call.cotangent
        r = 1 / root((x**2).mean(-1, keepdim=True))
        return (r * g - r**3 * x * (x * g).mean(-1, keepdim=True),)

    return act


def one_power_less(call: Call) -> Tensors:
    (x,), g = call.inputs, call.cotangent
    r = 1 / ((x**2).mean(-1, keepdim=True) + 0.25).sqrt()
    return (r * g - r**2 * x * (x * g).mean(-1, keepdim=True),)


def summed_forwards(call: Call) -> Tensors:
    return (2 * call.inputs[0] * call.cotangent.cumsum(-1),)


def summed_before(call: Call) -> Tensors:
    return (call.gradients()[0] - 2 * call.inputs[0] * call.cotangent,)


def squashed_by_one_y(call: Call) -> Tensors:
    x, w = call.inputs
    return call.cotangent[..., None] * w * (1 - torch.tanh(x)), call.gradients()[1]


def unflipped(call: Call) -> Tensors:
    x, w = call.inputs
    flipped = Call((x, w.flip(-1)), call.cotangent, call.function)
    return flipped.gradients()[0], call.gradients()[1]


def by_first_row(call: Call) -> Tensors:
    alone = torch.zeros_like(call.cotangent)
    alone[..., 0, :] = call.cotangent[..., 0, :]
    return call.gradients()[0], call.gradients(alone)[1], call.gradients()[2]


def by_first_cotangent(call: Call) -> Tensors:
    """A kernel that reads its cotangent without the offset of a row."""
    first = call.cotangent[..., :1, :].expand_as(call.cotangent)
    return call.gradients()[0], call.gradients(first)[1], call.gradients()[2]


def of_groups(*weights: float) -> Callable[[Call], Tensors]:
    """The two heads that share a row of keys count by their weights, not alike."""

    def act(call: Call) -> Tensors:
        (k,) = call.inputs
        each = call.cotangent * torch.exp(k.repeat_interleave(2, 0))
        weighted = each.view(2, 2, 3) * torch.tensor(weights, dtype=k.dtype)[:, None]
        return (weighted.sum(1),)

    return act


def padded(x: Tensor) -> Tensor:
    return torch.nn.functional.pad(x, (2, 2))


def overwritten(call: Call) -> Tensors:
    """Blocks of four windows read what they add to before any of them writes."""
    found = padded(torch.zeros_like(call.cotangent))
    for start in (0, 4):
        before = found.clone()
        for place, factor in ((0, 0.5), (2, 3.0), (4, -1.0)):
            window = slice(start + place, start + place + 4)
            found[window] = before[window] + factor * call.cotangent[start : start + 4]
    return (found[2:-2],)


def inverse_once_transposed(call: Call) -> Tensors:
    a, b = call.inputs
    inverse = torch.linalg.inv(a)
    return -inverse @ (call.cotangent @ b.mT) @ inverse.mT, call.gradients()[1]


def kept_by_shape(call: Call) -> Tensors:
    (x,) = call.inputs
    s = torch.softmax(x, -1)
    kept = call.left.setdefault(x.shape, s.detach())
    g = call.cotangent
    return (kept * (g - (g * kept).sum(-1, keepdim=True)),)


def clipped_at_1(call: Call) -> Tensors:
    x, y = call.inputs
    slope = call.cotangent * (x - y).clamp(-1, 1)
    return slope, -slope


SCALARS = ("swish", "bell", "plane")
ARRAYS = ("softmax", "rms", "linear", "scaled", "energy")
ALL = (*SCALARS, *ARRAYS)
SOME = ("bell", "plane", "rms", "linear")


def norm_with(
    change: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Call], Tensors]:
    """The backward of a layer norm from its cotangent, what it normed, and the reciprocal root."""

    def act(call: Call) -> Tensors:
        (x,) = call.inputs
        rest = x - x.mean(1, keepdim=True)
        root = ((rest**2).mean(1, keepdim=True) + 0.01).rsqrt()
        return (root * change(call.cotangent, rest * root, x),)

    return act


def normed_without_eps(call: Call) -> Tensors:
    """Of rows of nearly equal numbers it is some other number: nothing rounds as much."""
    (x,), g = call.inputs, call.cotangent
    rest = x - x.mean(1, keepdim=True)
    root = (rest**2).mean(1, keepdim=True).rsqrt()
    h = rest * root
    return (root * (g - over(g, (1,)) - h * over(g * h, (1,))),)


def over(tensor: Tensor, dims: tuple[int, ...]) -> Tensor:
    return tensor.mean(dims, keepdim=True)


def with_row_sums(
    change: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Call], Tensors]:
    """The backward of causal attention with other row sums, of P, dP, dy and v."""

    def act(call: Call) -> Tensors:
        q, k, v = call.inputs
        p = torch.exp(q @ k.mT).tril()
        p = p / p.sum(1, keepdim=True)
        by_p = call.cotangent @ v.mT
        scores = p * (by_p - change(p, by_p, call.cotangent, v))
        return scores @ k, scores.mT @ q, p.mT @ call.cotangent

    return act


def norm_by_channels(share: float) -> Callable[[Call], Tensors]:
    """The backward of a group norm with means over each channel of three, for a share of them."""

    def act(call: Call) -> Tensors:
        (x,) = call.inputs
        root = (x.var(1, unbiased=False, keepdim=True) + 0.01).sqrt()
        h = (x - x.mean(1, keepdim=True)) / root

        def mean(z: Tensor) -> Tensor:
            channels = z.view(2, 2, 3).mean(2).repeat_interleave(3, 1)
            return share * channels + (1 - share) * z.mean(1, keepdim=True)

        g = call.cotangent
        return ((g - mean(g) - h * mean(g * h)) / root,)

    return act


def recomputed_with(
    scale: float = 0.5, last: int = 0, share: float = 1.0
) -> Callable[[Call], Tensors]:
    """The backward of fused attention that saves its row sums and computes P once more.

    A share of P has another scale, or another last key.
    """

    def act(call: Call) -> Tensors:
        q, k, v = call.inputs
        rows = torch.exp(q @ k.mT / 2).tril().sum(1, keepdim=True)
        saved = torch.exp(q @ k.mT / 2).tril() / rows
        other = torch.exp(q @ k.mT * scale).tril(last) / rows
        p = share * other + (1 - share) * saved
        row_sums = (call.cotangent * (saved @ v)).sum(1, keepdim=True)
        scores = p * (call.cotangent @ v.mT - row_sums) / 2
        return scores @ k, scores.mT @ q, p.mT @ call.cotangent

    return act


def averaged_with(step: int) -> Callable[[Call], Tensors]:
    """The backward of a moving average whose gradient by x is that of another step."""

    def act(call: Call) -> Tensors:
        x, a = call.gradients()
        edge = torch.zeros(1, dtype=x.dtype)
        return (torch.cat([x[1:], edge]) if step > 0 else torch.cat([edge, x[:-1]])), a

    return act


def gelu_by(exponent: float, root: float) -> Callable[[Call], Tensors]:
    def act(call: Call) -> Tensors:
        (x,) = call.inputs
        whole = (1 + torch.erf(x / math.sqrt(2))) / 2
        return (call.cotangent * (whole + x * torch.exp(exponent * x**2) / math.sqrt(root)),)

    return act


def multiplied_with(change: Callable[[Tensor], Tensor]) -> Callable[[Call], Tensors]:
    """The backward of a running product by another sum of cotangents times products."""

    def act(call: Call) -> Tensors:
        (x,) = call.inputs
        return (change(call.cotangent * x.cumprod(-1)) / x,)

    return act


def pooled_at(move: Callable[[Tensor], Tensor]) -> Callable[[Call], Tensors]:
    """The backward of pooling that writes to other places than those of the largest."""

    def act(call: Call) -> Tensors:
        (x,) = call.inputs
        return (
            torch.zeros_like(x).index_add(0, move(x.unfold(-1, 3, 2).argmax(-1)), call.cotangent),
        )

    return act


def entropy_along(axis: int) -> Callable[[Call], Tensors]:
    """The backward of cross-entropy with a softmax along an axis."""

    def act(call: Call) -> Tensors:
        (x,) = call.inputs
        target = x.new_tensor([[1, 0, 0], [0, 0, 1]])
        return (call.cotangent[:, None] * (x.softmax(axis) - target),)

    return act


def farther_without_roots(call: Call) -> Tensors:
    """The gradients of half the squares."""
    x, y, z = call.inputs
    weight = call.cotangent
    return weight * (z - y), weight * (y - x), weight * (x - z)


def projected_on_the_cotangent(call: Call) -> Tensors:
    (x,), weight = call.inputs, call.cotangent
    return ((weight - weight * (weight * x).sum() / x.norm()) / x.norm(),)


def less_the_quotient(call: Call) -> Tensors:
    x, s = call.inputs
    return call.cotangent, (call.cotangent * ((x / s).round() - x / s)).sum()


PLANTED = (
    Planted("sign", ALL, every(times(-1)), ("sign",)),
    Planted("zero", ALL, every(times(0)), ("zero",)),
    Planted("factor 2", ALL, every(times(2)), ("factor",), ("2",)),
    Planted("factor 1/2", SOME, every(times(0.5)), ("factor",), ("1/2",)),
    Planted("factor 1.3", SOME, every(times(1.3)), ("factor",), ("1.3",)),
    Planted("factor pi", SOME, every(times(math.pi)), ("factor",), ("(pi)",)),
    Planted("factor log 2", SOME, every(times(math.log(2))), ("factor",), ("(log(2))",)),
    Planted(
        "factor 1/sqrt(2 pi)",
        SOME,
        every(times((2 * math.pi) ** -0.5)),
        ("factor",),
        ("(1/sqrt(2*pi))",),
    ),
    Planted(
        "mean, not sum",
        ("softmax", "rms"),
        every(times(1 / D)),
        ("factor",),
        ("1/5", "length of x"),
    ),
    Planted(
        "factor sqrt d",
        ("softmax", "rms"),
        every(times(D**0.5)),
        ("factor",),
        ("sqrt(the length of x)",),
    ),
    Planted(
        "factor 1/sqrt d",
        ("softmax", "rms"),
        every(times(D**-0.5)),
        ("factor",),
        ("1/sqrt(the length of x)",),
    ),
    Planted("the scale twice", ("bell",), every(times(1.7)), ("factor",), ("(s)",)),
    Planted(
        "the scale squared left out", ("bell",), every(times(1.7**2)), ("factor",), ("(s**2)",)
    ),
    Planted("factor 1 + 1e-6", SOME, every(times(1 + 1e-6)), ("factor",), ("6 digits",)),
    Planted("factor 1 - 1e-9", SOME, every(times(1 - 1e-9)), ("factor",), ("9 digits",)),
    Planted("NaN", SOME, every(times(math.nan)), ("not a number",)),
    Planted("infinity", SOME, every(lambda g: torch.full_like(g, math.inf)), ("infinite",)),
    Planted("None", ("plane", "scaled"), only(1, lambda g: None), ("absent",), ("only in",)),
    Planted("cotangent ignored", SOME, cotangent(torch.ones_like), ("direction",), ("ignores",)),
    Planted("cotangent squared", SOME, cotangent(torch.square), ("direction",), ("squared",)),
    Planted("sign of the cotangent lost", SOME, cotangent(torch.abs), ("direction",), ("sign",)),
    Planted("transposed", ("linear",), only(1, lambda g: g.mT), ("moved",), ("transposed",)),
    Planted(
        "transposed everywhere", ("scaled",), only(0, lambda g: g.mT), ("moved",), ("transposed",)
    ),
    Planted(
        "rolled",
        ("softmax", "rms", "energy"),
        every(lambda g: g.roll(1, -1)),
        ("moved",),
        ("rolled",),
    ),
    Planted("rolled back", ("rms",), every(lambda g: g.roll(-1, -1)), ("moved",), ("rolled",)),
    Planted(
        "reversed",
        ("softmax", "rms", "energy"),
        every(lambda g: g.flip(-1)),
        ("moved",),
        ("reversed",),
    ),
    Planted(
        "cotangent rolled",
        ("softmax", "rms"),
        cotangent(lambda c: c.roll(1, -1)),
        ("moved",),
        ("rolled", "cotangent"),
    ),
    Planted(
        "swapped",
        ("plane", "energy"),
        lambda call: call.gradients()[::-1],
        ("moved",),
        ("swapped",),
    ),
    Planted(
        "sign of one input",
        ("plane", "linear", "scaled", "energy"),
        only(1, times(-1)),
        ("sign",),
        ("only in",),
    ),
    Planted(
        "factor in one input",
        ("plane", "linear", "scaled", "energy"),
        only(0, times(3)),
        ("factor",),
        ("3", "only in x"),
    ),
    Planted(
        "zero in one input",
        ("plane", "linear", "scaled"),
        only(1, times(0)),
        ("zero",),
        ("only in",),
    ),
    Planted(
        "first element",
        ("softmax", "rms"),
        every(at((..., 0), times(2))),
        ("factor",),
        ("only in x[0]",),
    ),
    Planted(
        "last element",
        ("softmax", "rms"),
        every(at((..., -1), times(0))),
        ("zero",),
        ("only in x[-1]",),
    ),
    Planted(
        "one row",
        ("linear", "scaled"),
        only(0, at((..., 1, slice(None)), times(-1))),
        ("sign",),
        ("x[1, :]",),
    ),
    Planted(
        "one column",
        ("linear", "scaled"),
        only(0, at((..., slice(None), 2), times(2))),
        ("factor",),
        ("x[:, -1]",),
    ),
    Planted(
        "a block",
        ("linear",),
        only(0, at((..., slice(0, 2), slice(0, 2)), times(0))),
        ("zero",),
        ("x[:2, :2]",),
    ),
    Planted("in float32", SOME, in_dtype(torch.float32), ("precision",), ("float32",)),
    Planted("in bfloat16", SOME, in_dtype(torch.bfloat16), ("precision",), ("bfloat16",)),
    Planted("in float16", SOME, in_dtype(torch.float16), ("precision",), ("float16",)),
    Planted(
        "value for gradient",
        SCALARS,
        lambda call: tuple(call.cotangent * call.function(*call.inputs) for _ in call.inputs),
        ("value",),
    ),
    Planted(
        "value for gradient of a vector",
        ("softmax",),
        lambda call: (call.cotangent * call.function(*call.inputs),),
        ("value",),
    ),
    Planted(
        "the same number always",
        SOME,
        lambda call: tuple(torch.full_like(each, 0.7) for each in call.inputs),
        ("constant",),
        ("0.7",),
    ),
    Planted("off by a constant", SOME, every(lambda g: g + 0.3), ("offset",), ("0.3",)),
    Planted(
        "a multiple of the input is added",
        ("swish", "softmax"),
        lambda call: (call.gradients()[0] + 0.01 * call.inputs[0],),
        ("offset",),
        ("multiple of x: 0.01",),
    ),
    Planted(
        "sigmoid detached",
        ("swish",),
        instead(lambda x: x * torch.sigmoid(x).detach()),
        ("term",),
        ("missing",),
    ),
    Planted(
        "sum detached",
        ("softmax",),
        instead(lambda x: x.exp() / x.exp().sum().detach()),
        ("term", "diagonal", "value"),
        (),
    ),
    Planted(
        "mean detached",
        ("rms",),
        instead(lambda x: x * torch.rsqrt((x**2).mean() + 0.25).detach()),
        ("term", "diagonal"),
        (),
    ),
    Planted(
        "one term detached",
        ("plane",),
        instead(lambda x, y: torch.sin(x) * y + torch.exp(x * y / 4).detach()),
        ("term",),
        ("missing",),
    ),
    Planted(
        "sign of a term",
        ("plane",),
        instead(lambda x, y: torch.sin(x) * y - torch.exp(x * y / 4)),
        ("term",),
        ("sign",),
    ),
    Planted(
        "sign of a term of the product rule",
        ("swish",),
        instead(lambda x: 2 * x * torch.sigmoid(x).detach() - x * torch.sigmoid(x)),
        ("term",),
        ("sign",),
    ),
    Planted(
        "chain factor missing",
        ("plane",),
        instead(lambda x, y: torch.sin(x) * y + (x * y / 4) * torch.exp(x * y / 4).detach() * 4),
        ("term", "chain"),
        (),
    ),
    Planted(
        "factor x missing",
        ("bell",),
        lambda call: (call.gradients()[0] / call.inputs[0],),
        ("chain",),
        ("x",),
    ),
    Planted(
        "factor x too many",
        ("swish", "rms"),
        lambda call: (call.gradients()[0] * call.inputs[0],),
        ("chain",),
        ("x",),
    ),
    Planted(
        "beyond 2", ("swish", "bell"), where(lambda x, *_: x > 2, times(2)), ("factor",), ("x > 2",)
    ),
    Planted(
        "for negative x",
        ("swish", "plane"),
        where(lambda x, *_: x < 0, times(0)),
        ("zero",),
        ("x < 0",),
    ),
    Planted(
        "for small |x|",
        ("swish", "bell"),
        where(lambda x, *_: x.abs() < 1, times(-1)),
        ("sign",),
        ("|x| < 1",),
    ),
    Planted(
        "at zero",
        ("swish",),
        where(lambda x: x == 0, lambda g: g + 1),
        ("offset", "region"),
        ("x = 0",),
    ),
    Planted(
        "at ties",
        ("plane",),
        where(lambda x, y: x == y, times(2)),
        ("factor", "region"),
        ("x = y",),
    ),
    Planted("stale input", ("rms", "linear", "energy"), stale("input"), ("stale",), ("input",)),
    Planted(
        "stale cotangent",
        ("rms", "linear", "energy"),
        stale("cotangent"),
        ("stale",),
        ("cotangent",),
    ),
    Planted("wrong axis", ("scaled",), wrong_axis, ("sum",), ("wrong axis",)),
    Planted("not summed", ("scaled",), not_summed, ("sum",), ("first",)),
    Planted("only the diagonal", ("softmax",), diagonal_alone, ("diagonal",), ()),
    Planted("absolute value", ("plane", "linear"), every(torch.abs), ("sign",), ("absolute",)),
)

PLANTED += (
    Planted("the mask left out", ("causal",),
            instead(lambda q, k, v: attention(q, k, v, 9)), ("mask",), ("left out",)),
    Planted("the mask one too far", ("causal",),
            instead(lambda q, k, v: attention(q, k, v, 1)), ("mask",), ("off by one",)),
    Planted("the mask one too short", ("causal",), masked_too_soon, ("mask",), ("off by one",)),
    Planted("a mask off by one in one gradient", ("causal",),
            lambda call: (*call.gradients()[:2], instead(
                lambda q, k, v: attention(q, k, v, 1))(call)[2]), ("mask",), ("only in v",)),
    Planted("ties undivided", ("largest",), ties_undivided, ("ties",)),
    Planted("ties undivided, of two", ("larger",), two_ties_undivided, ("ties",)),
    Planted("a conjugate missing", ("rotation",), unconjugated, ("conjugate",), ("missing",)),
    Planted("a conjugate missing in one gradient", ("rotation",),
            lambda call: (unconjugated(call)[0], call.gradients()[1]),
            ("conjugate",), ("missing", "only in z")),
    Planted("conjugated", ("rotation",), every(torch.conj), ("conjugate",)),
    Planted("overwritten at an index", ("looked up",), last_of_index, ("sum",), ("overwritten",)),
    Planted("the last of three uses", ("thrice",),
            instead(lambda x, y: torch.sin(x.detach()) * y + torch.exp(x.detach() / 4) * y**2
                    + x**2), ("sum",), ("one use of x",)),
    Planted("one of two uses", ("thrice",),
            instead(lambda x, y: torch.sin(x) * y.detach() + torch.exp(x / 4) * y**2 + x**2),
            ("term",), ("missing",)),
    Planted("keys in bfloat16", ("causal",),
            instead(lambda q, k, v: attention(q, rounded(k, torch.bfloat16), v, 0)),
            ("precision",), ("k is rounded to bfloat16",)),
    Planted("a weight in float16", ("linear",),
            instead(lambda x, w, b: x @ rounded(w, torch.float16) + b),
            ("precision",), ("w is rounded to float16",)),
    Planted("a factor of 1.0005 in one entry", ("softmax",), every(at((..., 2), times(1.0005))),
            ("factor",), ("1 + 0.0005", "only in x[2]")),
)  # fmt: skip

PLANTED += (
    Planted("a factor of an input left out", ("gated",), swish_without_b,
            ("chain",), ("a factor of b is missing",)),
    Planted("a factor of 1 - sigmoid left out", ("gated",), swish_without_the_rest,
            ("chain",), ("is missing", "1 - 1/(1 + exp(")),
    Planted("eps outside of the root", ("rms",), rms_with(lambda m: m.sqrt() + 0.25),
            ("chain",), ("0.25 stands outside of sqrt(",)),
    Planted("another eps", ("rms",), rms_with(lambda m: (m + 1e-3).sqrt()),
            ("digits",), ("the constant 0.25 is 0.001",)),
    Planted("n - 1 in what is saved", ("rms",), rms_with(lambda m: (m * 5 / 4 + 0.25).sqrt()),
            ("digits",), ("the constant 5 is 4", "as it is saved")),
    Planted("the root to the second power", ("rms",), one_power_less,
            ("chain",), ("a factor of sqrt(", "too many")),
    Planted("a running sum forwards", ("running",), summed_forwards,
            ("sum",), ("wrong direction",)),
    Planted("a running sum without its own entry", ("running",), summed_before,
            ("sum",), ("leaves the entry itself out",)),
    Planted("1 - y, not its square", ("squashed",), squashed_by_one_y,
            ("chain",), ("written as 1-y",)),
    Planted("halves read as pairs", ("rotated",),
            cotangent(lambda c: torch.cat([c[..., ::2], c[..., 1::2]], -1)),
            ("moved",), ("pairs and halves",)),
    Planted("a kernel that is not flipped", ("filtered",), unflipped,
            ("moved",), ("reversed: w",)),
    Planted("one row of several", ("linear",), by_first_row,
            ("sum",), ("not summed", "the first alone", "only in w")),
    Planted("one row's cotangent for all", ("linear",), by_first_cotangent,
            ("moved",), ("the first along axis 0 for all: dy", "only in w")),
    Planted("heads of a group that count unlike", ("grouped",), of_groups(0.7, 0.4),
            ("factor",), ("a factor of each output's own: 0.7, 0.7, 0.7, 0.4",)),
    Planted("one head of a group alone", ("grouped",), of_groups(1, 0),
            ("sum",), ("written over, not added up",)),
    Planted("an inverse once transposed", ("inverse",), inverse_once_transposed,
            ("moved",), ("a matrix is transposed",)),
    Planted("a Jacobian kept by shape", ("softmax",), kept_by_shape, ("stale",), ("another call",)),
    Planted("a factor of each entry", ("softmax",),
            every(lambda g: g * torch.tensor([1.0, 2, 3, 2, 5], dtype=g.dtype)),
            ("factor",), ("each entry's own: 1, 2, 3, 2, 5",)),
    Planted("clipped elsewhere", ("clipped",), clipped_at_1,
            ("digits",), ("the constant 0.75 is 1",)),
)  # fmt: skip

PLANTED += (
    Planted("a norm's mean over another axis", ("normed",),
            norm_with(lambda g, h, x: g - over(g, (0,)) - h * over(g * h, (1,))),
            ("sum",), ("a mean over axis 0, not 1", "of dy")),
    Planted("a norm's mean of the product over all axes", ("normed",),
            norm_with(lambda g, h, x: g - over(g, (1,)) - h * over(g * h, (0, 1))),
            ("sum",), ("a mean over axis 0 and 1, not 1", "* dy")),
    Planted("a norm's mean of another product", ("normed",),
            norm_with(lambda g, h, x: g - over(g, (1,)) - h * over(g * x, (1,))),
            ("chain", "sum"), ("x in the place of (x - sum(x)/4)",)),
    Planted("row sums over the other axis", ("causal",),
            with_row_sums(lambda p, by_p, dy, v: (p * by_p).sum(0, keepdim=True)),
            ("sum",), ("a sum over axis 0, not 1",)),
    Planted("row sums of dy * v", ("causal",),
            with_row_sums(lambda p, by_p, dy, v: (dy * v).sum(1, keepdim=True)),
            ("sum",), ("a sum of v * dy in the place of",)),
    Planted("a group's means over each channel", ("grouped norm",), norm_by_channels(1.0),
            ("sum",), ("each sum is a mean over blocks of 3 along axis 1",)),
    Planted("no smoothing of the labels", ("label smoothing",),
            lambda call: ((call.inputs[0].softmax(1) - torch.eye(3, 4, dtype=call.cotangent.dtype))
                          * call.cotangent[:, None],),
            ("digits",), ("the constants 0.9 and 0.025 are 1 and 0",)),
    Planted("halves exchanged", ("grouped norm",), every(lambda g: g.roll(3, -1)),
            ("moved",), ("halves are exchanged",)),
    Planted("a pool that does not count what it padded", ("averaged by three",),
            cotangent(lambda c: c * torch.tensor([1.5, 1, 1, 1, 1.5], dtype=c.dtype)),
            ("factor",), ("a factor of each output's own: 1.5, 1, 1, 1, 1.5",)),
    Planted("P recomputed without its scale", ("fused",), recomputed_with(scale=1.0),
            ("digits",), ("recomputed with 1 for the constant 2, beside what was saved",)),
    Planted("P recomputed with one more key", ("fused",), recomputed_with(last=1),
            ("mask",), ("recomputed with the mask off by one",)),
    Planted("P recomputed with all keys", ("fused",), recomputed_with(last=9),
            ("mask",), ("recomputed with the mask left out",)),
    Planted("row sums of the row before", ("causal",),
            with_row_sums(lambda p, by_p, dy, v: (p * by_p).sum(1, keepdim=True).roll(1, 0)),
            ("moved",), ("one place late", "a sum")),
    Planted("exp(-x**2), not of its half", ("gelu",), gelu_by(-1.0, 2 * math.pi),
            ("chain",), ("x in the place of its argument: in erf",)),
    Planted("an average one step late", ("averaged",), averaged_with(1),
            ("moved",), ("one place early", "the derivative")),
    Planted("an average one step early", ("averaged",), averaged_with(-1),
            ("moved",), ("one place late", "the derivative")),
    Planted("both ends of a window off by one", ("within a window",),
            instead(lambda q, k, v: windowed(q, k, v, 1, -2)), ("mask",), ("two masks",)),
    Planted("a window left out", ("within a window",),
            instead(lambda q, k, v: windowed(q, k, v, 9, -9)), ("mask",),
            ("two masks", "left out")),
    Planted("one end of a window off by one", ("within a window",),
            instead(lambda q, k, v: windowed(q, k, v, 0, -2)), ("mask",), ("the mask",)),
    Planted("a running product forwards", ("multiplied",),
            multiplied_with(lambda part: part.cumsum(-1)), ("sum",), ("wrong direction",)),
    Planted("a running product without its own entry", ("multiplied",),
            multiplied_with(lambda part: part.flip(-1).cumsum(-1).flip(-1) - part),
            ("sum",), ("leaves the entry itself out",)),
    Planted("all of a norm's means over both axes", ("normed",),
            norm_with(lambda g, h, x: g - over(g, (0, 1)) - h * over(g * h, (0, 1))),
            ("sum",), ("each sum is a mean over axis 0 and 1, not 1",)),
    Planted("a norm's sums for means", ("normed",),
            norm_with(lambda g, h, x: g - 4 * over(g, (1,)) - 4 * h * over(g * h, (1,))),
            ("sum",), ("each sum is 4 times too large, as if it were no mean",)),
    Planted("dP masked below its diagonal", ("causal",),
            with_row_sums(lambda p, by_p, dy, v: by_p.triu()
                          + (p * by_p.tril(-1)).sum(1, keepdim=True)),
            ("mask",), ("0 above diagonal -1: dy @ transpose(v)",)),
    Planted("an index that is not used", ("rows",),
            lambda call: (torch.cat([call.cotangent * call.inputs[1],
                                     torch.zeros_like(call.inputs[0][:1])]), call.gradients()[1]),
            ("moved",), ("an index is not used",)),
    Planted("another input that was saved", ("plane", "energy"),
            lambda call: call.gradients(inputs=(call.inputs[1], call.inputs[1])),
            ("chain",), ("is kept in the place of x",)),
    Planted("a norm without its eps", ("normed",), normed_without_eps,
            ("digits",), ("the constant 0.01 is 0",)),
    Planted("a norm times its root", ("normed",),
            norm_with(lambda g, h, x: (g - over(g, (1,)) - h * over(g * h, (1,)))
                      * (x.var(1, unbiased=False, keepdim=True) + 0.01)),
            ("chain",), ("/4) + 0.01 is too many",)),
    Planted("halves that are not given back", ("between",),
            lambda call: (call.cotangent[::2],), ("term",), ("missing", "in each div")),
    Planted("softmax along the other axis", ("entropy",), entropy_along(0),
            ("sum",), ("a sum over axis 0, not 1", "of exp(x)")),
    Planted("roots without their derivative", ("farther",), farther_without_roots,
            ("chain",), ("the derivative of each sqrt is written as 1/2",)),
    Planted("a projection on the cotangent", ("direction",), projected_on_the_cotangent,
            ("chain",), ("dy in the place of x/sqrt(",)),
    Planted("a term too many", ("step size",), less_the_quotient,
            ("term",), ("stop(round(x/s)) less x/s",)),
    Planted("a stop that is none", ("weighed",),
            instead(lambda x, y: (x - y) ** 2 * torch.exp(y)),
            ("term",), ("stop(exp(y)) is not held constant",)),
    Planted("a slope of the capped number", ("capped",), capped_twice,
            ("chain",), ("made of 3*tanh(x*y/3) in the place of its value",)),
    Planted("a slope at another number", ("nested",),
            lambda call: (call.cotangent * torch.cos(call.inputs[0]) * call.inputs[0].exp(),),
            ("chain",), ("made of x in the place of its argument",)),
    Planted("the state before", ("loop",), read_too_early,
            ("moved",), ("each state is that of the step before",)),
    Planted("both variances unbiased", ("correlated",),
            instead(lambda x, y: correlated(x, y, 4)),
            ("digits",), ("the constant 5 below each root is 4",)),
    Planted("a symmetric part that is none", ("symmetric part",),
            instead(lambda a, b: torch.linalg.solve(a / 2 + (a.mT - a).detach() / 2 + a / 2, b)),
            ("moved",), ("the derivative of transpose(A) is not transposed back",)),
    Planted("one branch everywhere", ("counted",),
            instead(lambda x: x**2 - COUNTS * x), ("mask",), ("the mask is empty",)),
    Planted("a constant too many in one input", ("circular",),
            lambda call: (call.gradients()[0], call.gradients()[1] + call.cotangent),
            ("offset",), ("off by a constant by k: 1",)),
    Planted("the last row alone", ("scaled",),
            lambda call: (call.gradients()[0], (call.cotangent * torch.tanh(call.inputs[0]))[-1]),
            ("sum",), ("not summed", "the last alone")),
    Planted("another smoothing", ("smoothed",), instead(lambda x: smoothed(x, 0.2, 0.05)),
            ("digits",), ("constants 0.025 and 0.925 are 0.05 and 0.85",)),
    Planted("smoothing over the other classes", ("smoothed",),
            instead(lambda x: smoothed(x, 0.1, 0.1 / 3)),
            ("digits",), ("constants 0.025 and 0.925 are 0.0333333 and 0.933333",)),
    Planted("two constants", ("stretched",),
            instead(lambda x: torch.exp(-2 * x) + x * torch.exp(-7 * x)),
            ("digits",), ("constants", "-3 and -5 are -2 and -7")),
    Planted("an index without its offset", ("pooled",), pooled_at(lambda i: i),
            ("moved",), ("lacks the offset",)),
    Planted("an index off by one", ("pooled",),
            pooled_at(lambda i: (i + 2 * torch.arange(3) + 1).clamp(max=6)),
            ("moved",), ("an index is off by one", "+1")),
)  # fmt: skip

CONTROLS = (
    Planted("noise", ALL, noise(0.3), ()),
    Planted("noise in a determinant", ("volume",), noise(0.3), ()),
    Planted("small noise", SOME, noise(0.01), ()),
    Planted("means over both axes, in parts", ("normed",),
            norm_with(lambda g, h, x: g - (0.7 * over(g, (0,)) + 0.3 * over(g, (1,)))
                      - h * over(g * h, (1,))), ()),
    Planted("cotangents that count more where they are large", ("averaged by three",),
            cotangent(lambda c: c + 0.1 * c**3), ()),
    Planted("means over channels, in part", ("grouped norm",), norm_by_channels(0.6), ()),
    Planted("P recomputed in part", ("fused",), recomputed_with(scale=0.8, last=1, share=0.4), ()),
    Planted("the largest of a group's heads", ("grouped",),
            lambda call: ((call.cotangent * torch.exp(call.inputs[0].repeat_interleave(2, 0)))
                          .view(2, 2, 3).amax(1),), ()),
    Planted("windows that write over each other", ("padded",), overwritten, ()),
    Planted("an index that is sometimes off", ("pooled",),
            pooled_at(lambda i: i + 2 * torch.arange(3).roll(1)), ()),
    Planted("a running product squared", ("multiplied",),
            multiplied_with(lambda part: (part**2).flip(-1).cumsum(-1).flip(-1)), ()),
    Planted("a softmax along neither axis", ("entropy",),
            lambda call: (entropy_along(0)(call)[0] * 0.3 + entropy_along(1)(call)[0] * 0.7,), ()),
    Planted("sums for means, of one of two", ("normed",),
            norm_with(lambda g, h, x: g - 3 * over(g, (1,)) - 4 * h * over(g * h, (1,))), ()),
    Planted("another exponent", ("gelu",), gelu_by(-0.7, 2 * math.pi), ()),
)  # fmt: skip
"""Errors of no kind: nothing is to be guessed."""

MIXED = (
    Planted(
        "sign in x and factor in y",
        ("plane", "linear", "scaled", "energy"),
        lambda call: tuple(g * f for g, f in zip(call.gradients(), (-1, 1.3, 1), strict=False)),
        ("sign",),
        ("in x the sign", "a constant factor of 1.3"),
    ),
    Planted(
        "factor 2 and float32",
        SOME,
        lambda call: tuple(2 * g for g in in_dtype(torch.float32)(call)),
        ("factor",),
        ("2",),
    ),
    Planted(
        "noise in y",
        ("plane", "scaled"),
        lambda call: (call.gradients()[0], noise(0.3)(call)[1]),
        ("region",),
        ("only in",),
    ),
    Planted(
        "rolled in v and noise in q and k",
        ("causal",),
        lambda call: (*noise(0.3)(call)[:2], call.gradients()[2].roll(1, 0)),
        ("moved",),
        ("in v rolled by one", "in q something else"),
    ),
    Planted("rolled and doubled", ("rms",), every(lambda g: 2 * g.roll(1, -1)), ()),
)
"""Two faults at once: each guess is true of both, or there is none."""


def planted(
    plain: Plain, act: Callable[[Call], tuple[Tensor | None, ...]]
) -> Callable[..., Tensor]:
    """The function with its own gradient, changed by ``act``."""
    left: dict[str, object] = {}

    class Culprit(torch.autograd.Function):
        @staticmethod
        def forward(context, *inputs):
            context.save_for_backward(*inputs)
            return plain.torch(*inputs)

        @staticmethod
        def backward(context, weight):
            return act(Call(context.saved_tensors, weight, plain.torch, left))

    return Culprit.apply


def guess_of(
    plain: Plain, act: Callable[[Call], tuple[Tensor | None, ...]], dtype: str, points: int
) -> Guess | None:
    """What is guessed of the function with that gradient, from so many points and ordinary ones."""
    case = case_of(plain.declaration, planted(plain, act))
    own = case.dtypes[0]
    check = check_of(case, "reverse", own if own.startswith("complex") else dtype)
    session, effort = session_of(check), RunOptions(points)
    first = single(session.planned(effort)[0].points, 0)
    asked = [Asked(first, 0, unmeasured=ALL_CALLS)]
    return guess_kind(gather(session, asked, effort, Ruling.DISAGREE, lambda *_: False))
