"""Slow, obvious twins of the fast statistics: plain float64, one number at a time."""

import math

import torch


def l2(tensor):
    """Root of the sum of squares, in exact-enough Python floats; scaled by hand against under- and overflow."""
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return math.hypot(*[0.0, *tensor.detach().double().flatten().tolist()])


def largest(tensor):
    """Largest absolute value."""
    wide = torch.complex128 if tensor.is_complex() else torch.float64
    return max((abs(v) for v in tensor.detach().to(wide).flatten().tolist()), default=0.0)


def gradients_at(model, modules, loss_of):
    """Gradient norms at the outputs of those modules (their first call of a forward pass), by torch.autograd.grad."""
    outputs = {}

    def keep(name):
        def hook(module, inputs, output):
            if isinstance(output, tuple):
                outputs.setdefault(name, output[0])
                return output
            outputs.setdefault(name, output)
            return output.clone()  # an in-place operation behind it must not change what we kept

        return hook

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in modules]
    loss = loss_of(model)
    for handle in handles:
        handle.remove()
    grads = torch.autograd.grad(loss, [outputs[name] for name in modules])
    return {name: l2(grad) for name, grad in zip(modules, grads, strict=True)}


def slope(function, x):
    """Mean absolute derivative of a function over the elements of x, by autograd in float64."""
    x = x.detach().double().requires_grad_()
    (grad,) = torch.autograd.grad(function(x).sum(), x)
    return grad.abs().mean().item()


def dense_values(tensor):
    """The stored numbers of a gradient as a list; sparse duplicates summed, complex ones as two."""
    if tensor.layout != torch.strided:
        tensor = tensor.coalesce().values()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.detach().double().flatten().tolist()
