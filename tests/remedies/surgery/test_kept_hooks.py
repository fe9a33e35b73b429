"""Hooks: what an edit added goes, what it removed comes back, what others do stays theirs."""

from torch import nn

from lightning_gradwatch.remedies.surgery.kept_hooks import MODULE_HOOKS, KeptHooks


def test_what_the_edit_did_is_taken_back_and_what_others_did_is_not():
    layer = nn.Linear(1, 1)
    theirs = [layer.register_forward_hook(lambda *_: None) for _ in range(3)]
    order = list(layer._forward_hooks)
    kept = KeptHooks(layer, MODULE_HOOKS)
    theirs[0].remove()  # by the edit
    layer.register_forward_hook(lambda *_: None, with_kwargs=True)
    kept.settle()
    theirs[1].remove()  # by others, afterwards
    late = layer.register_forward_hook(lambda *_: None)
    kept.restore()
    assert list(layer._forward_hooks) == [order[0], order[2], late.id]
    assert not layer._forward_hooks_with_kwargs
    late.remove()  # handles still work: the registry is the same
    assert list(layer._forward_hooks) == [order[0], order[2]]
