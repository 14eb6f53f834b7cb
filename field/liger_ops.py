"""Liger's Triton kernels on the CPU, by Triton's interpreter."""

import os

os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton, whose import reads it

from liger_kernel.ops.cross_entropy import LigerCrossEntropyFunction
from liger_kernel.ops.dyt import LigerDyTFunction
from liger_kernel.ops.experimental.embedding import LigerEmbeddingFunction
from liger_kernel.ops.geglu import LigerGELUMulFunction
from liger_kernel.ops.group_norm import LigerGroupNormFunction
from liger_kernel.ops.jsd import LigerJSDFunction
from liger_kernel.ops.kl_div import LigerKLDivLossFunction
from liger_kernel.ops.layer_norm import LigerLayerNormFunction
from liger_kernel.ops.llama4_rope import LigerLlama4RopeFunction
from liger_kernel.ops.poly_norm import LigerPolyNormFunction
from liger_kernel.ops.relu_squared import LigerReLUSquaredFunction
from liger_kernel.ops.rms_norm import LigerRMSNormFunction
from liger_kernel.ops.rope import LigerRopeFunction
from liger_kernel.ops.softmax import LigerSoftmaxFunction
from liger_kernel.ops.sparsemax import LigerSparsemaxFunction
from liger_kernel.ops.swiglu import LigerSiLUMulFunction
from liger_kernel.ops.tvd import LigerTVDLossFunction

__all__ = [
    "LigerCrossEntropyFunction",
    "LigerDyTFunction",
    "LigerEmbeddingFunction",
    "LigerGELUMulFunction",
    "LigerGroupNormFunction",
    "LigerJSDFunction",
    "LigerKLDivLossFunction",
    "LigerLayerNormFunction",
    "LigerLlama4RopeFunction",
    "LigerPolyNormFunction",
    "LigerRMSNormFunction",
    "LigerReLUSquaredFunction",
    "LigerRopeFunction",
    "LigerSiLUMulFunction",
    "LigerSoftmaxFunction",
    "LigerSparsemaxFunction",
    "LigerTVDLossFunction",
]
