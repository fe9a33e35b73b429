"""Names of autograd nodes -> families of operation.

Which node an operation gets depends on shape, dtype and backend, so that names are matched by their beginning and an
unknown one is "other", never an error.
"""

from __future__ import annotations

import functools
import re

# Longest beginnings win, so that "HardtanhBackward" is found before "Hard...".
_FAMILIES = {
    "activation": (
        "Sigmoid Tanh Relu Hardtanh LeakyRelu Elu Celu Gelu Silu Mish Softplus Hardswish Hardsigmoid LogSigmoid Glu "
        "PreluKernel Threshold Rrelu Softshrink Hardshrink Clamp"
    ),
    "linear": "Addmm Mm Bmm Baddbmm Addbmm Addmv Mv Linear Convolution Conv MkldnnLinear Embedding Bilinear Trilinear",
    "norm": "NativeBatchNorm CudnnBatchNorm MiopenBatchNorm NativeLayerNorm NativeGroupNorm FusedRmsNorm RmsNorm",
    "recurrent": "MkldnnRnnLayer CudnnRnn MiopenRnn ThnnFused LstmMps",
    "attention": "Softmax SafeSoftmax ScaledDotProduct FlashAttention EfficientAttention",
    "pool": "Mean AvgPool AdaptiveAvgPool MkldnnAdaptiveAvgPool MaxPool AdaptiveMaxPool Upsample FractionalMaxPool",
    "loss": (
        "NllLoss LogSoftmax MseLoss L1Loss SmoothL1Loss HuberLoss BinaryCrossEntropy KlDiv SoftMargin MultiMargin "
        "MultilabelMargin CtcLoss PoissonNll"
    ),
    # change what a gradient looks like, not how big it is
    "view": (
        "View UnsafeView ReshapeAlias Reshape T Transpose Permute Squeeze Unsqueeze Alias Clone ToCopy AsStrided "
        "Contiguous Detach Flip Roll MovedimBackward Identity ViewAsReal ViewAsComplex _DDPSink "
        "RegisterPost _ToTorchTensor _FromTorchTensor Redistribute"
    ),
    "shape": (
        "Expand Repeat Select Slice Cat Stack Unbind Split Chunk Index Gather Narrow Pad ConstantPadNd CopySlices "
        "Scatter MaskedFill Where Tril Triu"
    ),
    # stand between a parameter and the operation that consumes it
    "parameter": "AccumulateGrad WeightNormInterface",
    "opaque": "CompiledFunction CheckpointFunction DifferentiableGraph",
}
_BY_NAME = {name: family for family, names in _FAMILIES.items() for name in names.split()}
_SUFFIX = re.compile(r"Backward\w*$")


@functools.lru_cache(maxsize=4096)
def operation(node_name: str) -> str:
    """The operation's name: "SigmoidBackward0" -> "Sigmoid", "torch::autograd::AccumulateGrad" -> "AccumulateGrad".

    Example:
        >>> operation("SigmoidBackward0"), operation("torch::autograd::AccumulateGrad")
        ('Sigmoid', 'AccumulateGrad')
    """
    return _SUFFIX.sub("", node_name.rpartition("::")[2]) or node_name


@functools.lru_cache(maxsize=4096)
def family(name: str) -> str:
    """The family of an operation; "other" for one that is not known.

    Example:
        >>> family("Sigmoid"), family("AdaptiveAvgPool2D"), family("Mul")
        ('activation', 'pool', 'other')
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    # A beginning counts only where a new word starts, so that "T" does not claim "Trace".
    beginnings = [known for known in _BY_NAME if name.startswith(known) and not name[len(known)].islower()]
    return _BY_NAME[max(beginnings, key=len)] if beginnings else "other"
