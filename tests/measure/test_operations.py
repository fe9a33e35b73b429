import pytest
import torch
from torch.nn import functional as F

from lightning_gradwatch.measure.operations import family, operation

X = torch.randn(4, 3, 8, 8)


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        (torch.sigmoid, ("Sigmoid", "activation")),
        (lambda x: F.relu(x.clone(), inplace=True), ("Relu", "activation")),
        (F.hardtanh, ("Hardtanh", "activation")),
        (lambda x: F.conv2d(x, torch.ones(2, 3, 3, 3)), ("Convolution", "linear")),
        (lambda x: F.adaptive_avg_pool2d(x, 2), ("AdaptiveAvgPool2D", "pool")),
        (lambda x: x.flatten(1), ("View", "view")),
        (lambda x: x[:, 0], ("Select", "shape")),
        (lambda x: F.layer_norm(x, (8,)), ("NativeLayerNorm", "norm")),
        (lambda x: F.batch_norm(x, None, None, training=True), ("NativeBatchNorm", "norm")),
        (lambda x: x.softmax(-1), ("Softmax", "attention")),
        (lambda x: x * 2, ("Mul", "other")),
        (lambda x: F.mse_loss(x, x.detach()), ("MseLoss", "loss")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_real_nodes(compute, expected):
    name = operation(compute(X.clone().requires_grad_()).grad_fn.name())
    assert (name.removesuffix("0"), family(name)) == expected


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("torch::autograd::AccumulateGrad", "parameter"),
        ("CompiledFunctionBackward", "opaque"),
        ("ScaledDotProductFlashAttentionForCpuBackward0", "attention"),
        ("MyOwnBackward", "other"),
        ("TraceBackward0", "other"),  # not a "T"
        ("MmBackward0", "linear"),
        ("MulBackward0", "other"),
    ],
)
def test_names(node, expected):
    assert family(operation(node)) == expected
