"""Kernels of flash-linear-attention on the CPU, by Triton's interpreter, which cannot tune them."""

import os

os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton, whose import reads it

import triton

_autotune = triton.autotune
# Of several configurations the best would be sought by a clock, on a device.
triton.autotune = lambda configs, *args, **options: _autotune(configs[:1], *args, **options)

from fla.modules.activations.ops import (  # noqa: E402
    GeLUFunction,
    PowGLUFunction,
    logsigmoid,
    sigmoid,
    sigmoidglu,
    sqrelu,
    swiglu,
    swiglu_linear,
    swish,
)
from fla.modules.fused_cross_entropy.ops import cross_entropy_loss  # noqa: E402
from fla.modules.fused_kl_div.ops import fused_kl_div_loss  # noqa: E402
from fla.modules.l2warp import l2_warp  # noqa: E402
from fla.modules.norm.fused_norm_gate import rms_norm_gated  # noqa: E402
from fla.modules.norm.layernorm import group_norm, layer_norm, rms_norm  # noqa: E402
from fla.modules.rotary.ops import rotary_embedding  # noqa: E402
from fla.modules.token_shift import token_shift  # noqa: E402
from fla.ops.attn.parallel import parallel_attn  # noqa: E402
from fla.ops.delta_rule.fused_recurrent import fused_recurrent_delta_rule  # noqa: E402
from fla.ops.hgrn.fused_recurrent import fused_recurrent_hgrn  # noqa: E402
from fla.ops.retention.fused_recurrent import fused_recurrent_retention  # noqa: E402
from fla.ops.rwkv7.fused_addcmul import fused_addcmul_rwkv7  # noqa: E402
from fla.ops.simple_gla.fused_recurrent import fused_recurrent_simple_gla  # noqa: E402
from fla.ops.utils.pooling import mean_pooling  # noqa: E402

__all__ = [
    "GeLUFunction",
    "PowGLUFunction",
    "cross_entropy_loss",
    "fused_addcmul_rwkv7",
    "fused_kl_div_loss",
    "fused_recurrent_delta_rule",
    "fused_recurrent_hgrn",
    "fused_recurrent_retention",
    "fused_recurrent_simple_gla",
    "group_norm",
    "l2_warp",
    "layer_norm",
    "logsigmoid",
    "mean_pooling",
    "parallel_attn",
    "rms_norm",
    "rms_norm_gated",
    "rotary_embedding",
    "sigmoid",
    "sigmoidglu",
    "sqrelu",
    "swiglu",
    "swiglu_linear",
    "swish",
    "token_shift",
]
