"""What PyTorch's operators do to the numbers that they are given: round, choose or add them up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch._library.custom_ops import OPDEFS
from torch.utils._pytree import tree_leaves


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXACT = _names("""
_conj_physical _efficientzerotensor _has_same_storage_numel _local_scalar_dense _nnz _reshape_copy
_sparse_mask_projection _to_dense _to_sparse _to_sparse_bsc _to_sparse_bsr _to_sparse_csc
_to_sparse_csr _unique _unique2 _unsafe_index _unsafe_view abs adaptive_max_pool2d
adaptive_max_pool3d all allclose amax amin aminmax any arange argmax argmin argsort bincount
bitwise_and bitwise_not bitwise_or bitwise_xor broadcast_in_dim bucketize cat ceil clamp clamp_max
clamp_min clone collapse_view complex conj_physical constant_pad_nd copysign cummax cummin dense_dim
diag diag_embed diagonal_backward diagonal_scatter embedding empty empty_like empty_permuted
empty_strided eq equal eye fill flip floor fmax fmin fmod fractional_max_pool2d
fractional_max_pool3d frexp full full_like gather ge gt hardshrink_backward hardtanh
hardtanh_backward heaviside im2col index index_copy index_fill index_select iota is_coalesced
is_same_size isfinite isin isinf isnan isneginf isposinf kthvalue ldexp le lift lift_fresh
lift_fresh_copy linspace logical_and logical_not logical_or logical_xor lt lu_unpack masked_fill
masked_scatter masked_scatter_backward masked_select max max_pool2d_with_indices
max_pool3d_with_indices max_unpool2d max_unpool3d maximum median min minimum mode nan_to_num
nanmedian ne neg new_empty new_empty_strided new_full new_ones new_zeros nextafter nonzero
nonzero_static ones ones_like pad relu repeat repeat_interleave resize resolve_conj resolve_neg rev
roll round scalar_tensor scatter searchsorted select_backward select_scatter set sgn sign signbit
slice_backward slice_scatter softshrink_backward sort sparse_dim sparse_mask stack take threshold
threshold_backward to_padded_tensor topk tril tril_indices triu triu_indices trunc
unique_consecutive unique_dim unique_dim_consecutive where zero zeros zeros_like
""")
"""They move numbers or choose among them, and round none."""

_OF_COMPLEX = frozenset({"abs", "sgn"})
"""They round complex numbers only."""
CASTS = frozenset({"_to_copy", "convert_element_type", "copy", "to"})
"""``to`` comes from PyTorch's decompositions: elsewhere autograd has made a copy of it."""

SINGLE = CASTS | _names("""
abs acos acosh add angle asin asinh atan atan2 atanh cos cosh deg2rad div erf erfc exp exp2 expm1
hypot log log10 log1p log2 mul pow rad2deg reciprocal rsqrt rsub sigmoid sin sinh sqrt square sub
tan tanh
""")
"""One operation each: a result is off by a few units in the last place, whatever the operands."""
ROUND_NUMBERS = frozenset({"add", "atan2", "hypot", "pow", "rsub", "sub"})
"""Their kernels round a number beside a tensor of half precision to its dtype; ``mul`` and ``div``
do not."""

SINGLE_IN_HALF = _names("""
bessel_i0 bessel_i0e bessel_i1 bessel_i1e bessel_j0 bessel_j1 digamma erf_inv erfcx i0 igamma
igammac lgamma ndtri polygamma special_bessel_y0 special_bessel_y1 special_modified_bessel_i0
special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1 zeta
""")
"""The same in half precision alone: in float32 they are good to more digits than such a result."""

_TRIGAMMA = 2.0**-30.9
"""What PyTorch's trigamma is off by at most, relatively: its series ends at x**-7, from 6 on.

Source: ``trigamma`` in aten/src/ATen/native/Math.h; 3,500 numbers against mpmath, torch 2.13.0.
"""

_CHOOSING = frozenset({"scatter_reduce", "index_reduce"})
"""They choose among numbers where they are asked for the largest or smallest."""

MATRIX_PRODUCTS = _names("""
_conv_depthwise2d _convolution _slow_conv2d_backward _slow_conv2d_forward _trilinear addbmm addmm
addmv addr baddbmm bmm conv_depthwise3d conv_tbc convolution convolution_backward dot linear
linear_backward matmul matmul_backward mkldnn_convolution mm mv slow_conv3d_forward
slow_conv_dilated2d slow_conv_dilated3d slow_conv_transpose2d slow_conv_transpose3d vdot
""")
"""Sums of products of two operands' entries."""

CONTRACTIONS = MATRIX_PRODUCTS | _names("""
_adaptive_avg_pool2d_backward _adaptive_avg_pool3d _adaptive_avg_pool3d_backward _embedding_bag
_embedding_bag_dense_backward _fft_c2c _fft_c2r _fft_r2c adaptive_avg_pool2d
adaptive_max_pool2d_backward adaptive_max_pool3d_backward avg_pool2d avg_pool2d_backward avg_pool3d
avg_pool3d_backward cumprod cumsum embedding_dense_backward fractional_max_pool2d_backward
fractional_max_pool3d_backward index_add index_put linalg_cross logcumsumexp
max_pool2d_with_indices_backward max_pool3d_with_indices_backward mean prod remainder
replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward scatter_add
scatter_reduce sgn std sum trace unfold_backward var var_mean
""")
"""Sums and products of many: what they round is as if each operand had been an ulp away."""

STABLE_BY_NORM = {
    "_linalg_det": "det",
    "_linalg_eigh": "eigh",
    "_linalg_eigvals": "eigvals",
    "_linalg_slogdet": "slogdet",
    "_linalg_solve_ex": "solve",
    "_linalg_svd": "svd",
    "cholesky_inverse": "cholesky_inverse",
    "cholesky_solve": "cholesky_solve",
    "geqrf": "geqrf",
    "linalg_cholesky_ex": "cholesky",
    "linalg_eig": "eig",
    "linalg_eigvals": "eigvals",
    "linalg_householder_product": "householder_product",
    "linalg_inv_ex": "inv",
    "linalg_ldl_factor_ex": "ldl_factor",
    "linalg_ldl_solve": "ldl_solve",
    "linalg_lstsq": "lstsq",
    "linalg_lu": "lu",
    "linalg_lu_factor_ex": "lu_factor",
    "linalg_lu_solve": "lu_solve",
    "linalg_matrix_exp": "matrix_exp",
    "linalg_pinv": "pinv",
    "linalg_qr": "qr",
    "ormqr": "ormqr",
}
"""Kernels that answer nearly right, by the norm of the matrix, at a matrix that is nearly right by
its norm; a small entry beside large ones may have no digit.

Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.: LU and what is solved by it
        9.4, 14.3; Cholesky 10.4; LDLᵀ 11.1; QR and Householder products 19.4; least squares 20.1;
        the exponential by scaling and squaring, Functions of Matrices 10.5. SVD and eigenvalues:
        Golub and Van Loan, Matrix Computations, 4th ed., 5.4.4, 7.5.6, 8.3.
"""
NEVER_OVERFLOW = frozenset({  # what they make infinite is a pole
    "log", "log2", "log10", "log1p", "atanh", "angle"
})  # fmt: skip
POLES = frozenset({"div", "reciprocal", "pow", "rsqrt"})
NEVER_ZERO = CASTS | frozenset({
    "div", "erfc", "exp", "exp2", "mul", "pow", "reciprocal", "sigmoid", "square"
})  # fmt: skip
"""Of operands that are finite and not 0 a result of 0 has underflowed."""


@lru_cache(maxsize=1024)
def operator_name(function: Any) -> str:
    """The operator's name, the same for the one that works in place."""
    name: str = function._schema.name.partition("::")[2]
    return name.rstrip("_")


def known_error(name: str, args: Any) -> float:
    """What an operation is known to be off by, relatively, whatever the dtype; else 0."""
    if name == "polygamma" and any(type(each) is int and each == 1 for each in args):
        return _TRIGAMMA
    return 0.0


def rounds_nothing(function: Any, name: str, args: Any, kwargs: Any) -> bool:
    """Whether an operation rounds nothing, or draws its numbers."""
    if name in CASTS:
        return not _narrows(function, args, kwargs)
    if name in _OF_COMPLEX:
        return not args[0].is_complex()
    if name in _CHOOSING:
        return "amax" in args or "amin" in args
    if name == "index_put":
        return not (kwargs.get("accumulate") or args[3:4] == (True,))
    return _is_always_exact(function) or kwargs.get("rounding_mode") is not None


@lru_cache(maxsize=1024)
def _is_always_exact(function: Any) -> bool:
    """Whether it chooses, moves or draws numbers, or returns a view or a copy of one."""
    return (
        operator_name(function) in _EXACT
        or torch.Tag.view_copy in function.tags
        or torch.Tag.nondeterministic_seeded in function.tags
        or any(each.alias_info and not each.alias_info.is_write
               for each in function._schema.returns)
    )  # fmt: skip


def _narrows(function: Any, args: Any, kwargs: Any) -> bool:
    """Whether a cast rounds."""
    if function._schema.is_mutable:  # copy_(target, source)
        source, target = args[1].dtype, args[0].dtype
    else:
        # under vmap a number is cast too
        source = args[0].dtype if isinstance(args[0], Tensor) else torch.float64
        target = _dtype_among((kwargs.get("dtype"), *args[1:])) or source
    if not target.is_floating_point:
        return False
    return not source.is_floating_point or torch.finfo(source).eps < torch.finfo(target).eps


def _dtype_among(values: Iterable[Any]) -> torch.dtype | None:
    """The dtype that is named, or that of a tensor."""
    dtypes = (each.dtype if isinstance(each, Tensor) else each for each in values)
    return next((each for each in dtypes if isinstance(each, torch.dtype)), None)


def loses_nothing(function: Any, args: Any, result: Any) -> bool:
    """Whether a cast gave the very numbers that it was given."""
    source = args[1] if function._schema.is_mutable else args[0]
    if not isinstance(source, Tensor):
        return bool(result.double() == source)
    return bool(is_readable(source) and torch.equal(result.to(source.dtype), source))


def written_by(function: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that an operation writes to."""
    values = [
        args[number] if number < len(args) else kwargs.get(name)
        for number, name in _places_written(function)
    ]
    return [leaf for leaf in single_values(values) if isinstance(leaf, Tensor)]


@lru_cache(maxsize=1024)
def _places_written(function: Any) -> tuple[tuple[int, str], ...]:
    """The arguments that an operation writes to, by number and name."""
    return tuple(
        (number, each.name)
        for number, each in enumerate(function._schema.arguments)
        if each.alias_info is not None and each.alias_info.is_write
    )


@lru_cache(maxsize=1024)
def is_composed(function: Any) -> bool:
    """Whether PyTorch makes an operator of others: without autograd some come here unmade."""
    return bool(function._can_decompose())


def python_kernel(function: Any, args: Any, kwargs: Any) -> Callable[..., Any] | None:
    """The Python that a custom operator runs, so that it can be seen; None where there is none."""
    definition = OPDEFS.get(function._schema.name)
    devices = (each.device.type for each in tree_leaves((args, kwargs))
               if isinstance(each, Tensor))  # fmt: skip
    kernels = {} if definition is None else definition._backend_fns
    return kernels.get(next(devices, None)) or kernels.get(None)


# tensors


def single_values(values: Any) -> list[Any]:
    """What an operation is given or returns, one by one: it knows of lists alone."""
    found: list[Any] = []
    for each in values:
        if isinstance(each, tuple | list):
            found += single_values(each)
        else:
            found.append(each)
    return found


def is_readable(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers that may be looked at.

    One that PyTorch gives for a zero derivative has no memory: to read it ends the process.
    """
    return (
        tensor.layout is torch.strided
        and tensor.device.type != "meta"
        and not tensor._is_zerotensor()
        and tensor.numel() > 0
    )


def is_plain(value: Any) -> bool:
    """Whether a value is a tensor of real floats that may be looked at."""
    return isinstance(value, Tensor) and value.is_floating_point() and is_readable(value)
