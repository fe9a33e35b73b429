"""A treatment as an object, and as a callback of a fit from its first moment to its last."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Cause, CauseKind
from lightning_gradwatch.remedies.surgery.marker import marker_of
from lightning_gradwatch.remedies.treatment import Applies
from tests.callbacks.fits import both_namespaces
from tests.fits.modules import fingerprint
from tests.remedies.findings import cause, finding
from tests.remedies.treatments import Centre, Draw, Fails, Slow, Swap, fitted, loader, net, trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
]
EACH = pytest.mark.parametrize("make", [Swap, Draw, Slow, Centre], ids=lambda make: make.__name__)
MAIN = "lightning.pytorch"


# --- as an object -----------------------------------------------------------------------------------------------------


def test_reads_as_it_is_written():
    for text in ("Swap()", "Swap(0.5)", "Swap(where=['a', 'b.*'], seed=3)"):
        assert repr(eval(text)) == text
    assert Swap(0.5, seed=2).spec() == {"remedy": "Swap", "arguments": {"slope": 0.5, "where": None, "seed": 2}}


def test_an_argument_behind_one_that_is_left_out_is_named():
    class Both(Swap):
        def __init__(self, slope=0.25, steps=3, *, where=None, seed=0):
            super().__init__(slope, where=where, seed=seed)
            self.steps = steps

    assert [repr(Both(*given)) for given in ((), (0.5,), (0.5, 4), (0.25, 4))] == [
        "Both()",
        "Both(0.5)",
        "Both(0.5, 4)",
        "Both(steps=4)",
    ]


def test_where_is_a_list():
    with pytest.raises(WrongArgument, match="`where` must be a list of names, or None, got 'encoder'"):
        Swap(where="encoder")


def test_whether_it_applies_and_why_not():
    assert Applies()
    assert Swap().applies_to(net())
    assert not (no := Swap().applies_to(nn.Linear(1, 1)))
    assert no.why_not == "It has no sigmoid."
    assert "It is compiled" in Swap().applies_to(torch.compile(net(), backend="eager")).why_not
    assert Swap().applies_to(net(), finding(cause("activation")))
    unrelated = finding(Cause(kind=CauseKind.DATA, code="GW311", title="t", share=1.0, sentence="s"))
    assert Swap().applies_to(net(), unrelated).why_not == "Swap cures activation; the finding is caused by data."
    assert "nothing that is known" in Swap().applies_to(net(), finding()).why_not


def test_advice_with_and_without_a_network():
    assert Swap().advice() == "A small change: Put a PReLU in the place of every sigmoid."
    assert Swap().advice(net()).startswith(Swap().advice() + "\n\n")
    assert "Swap().apply(model)" in Swap().advice(net())


def test_optimizers_in_every_form():
    for wrap in (lambda o: o, lambda o: [o], lambda o: (o,)):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        Swap().apply(model, wrap(optimizer))
        assert len(optimizer.param_groups[0]["params"]) == len(list(model.parameters()))


# --- as a callback ----------------------------------------------------------------------------------------------------


def run(module, callbacks=(), stage="fit", namespace=MAIN, ckpt_path=None, **options):
    torch.manual_seed(5)
    runner = trainer(namespace, callbacks, **options)
    getattr(runner, stage)(module, loader(shuffle=stage == "fit"), ckpt_path=ckpt_path)
    return runner


def state(module):
    return fingerprint(module.state_dict())


@both_namespaces
@EACH
def test_a_fit_is_treated_once_and_says_so_in_one_line(make, namespace, caplog):
    module, treatment = fitted(namespace), make()
    with caplog.at_level("INFO", "lightning_gradwatch"):
        run(module, [treatment], namespace=namespace)
    [line] = [record.message for record in caplog.records if record.name == "lightning_gradwatch"]
    assert line == f"GradWatch treated the network: {treatment.applied.line}"
    assert "\n" not in line
    assert treatment.applied.changed
    assert not treatment.applied.can_undo


def test_before_the_optimizers_are_made():
    module = fitted()
    runner = run(module, [Swap()])
    assert len(runner.optimizers[0].param_groups[0]["params"]) == len(list(module.parameters()))
    assert isinstance(module.net[1], nn.PReLU)
    assert module.net[1].weight.item() != 0.25  # trained


def test_as_treated_by_hand():
    by_hand, by_callback = fitted(), fitted()
    Swap().apply(by_hand)
    run(by_hand)
    run(by_callback, [Swap()])
    assert state(by_hand) == state(by_callback)


@EACH
def test_the_random_numbers_of_the_fit_are_not_touched(make):
    numbers = []
    for callbacks in ([], [make()]):
        run(fitted(), callbacks)
        numbers.append(torch.get_rng_state())
    assert torch.equal(*numbers)


def checkpointed(folder, callbacks=(), **options):
    from lightning.pytorch.callbacks import ModelCheckpoint

    saver = ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1)
    module = fitted(**options)
    run(module, [*callbacks, saver], max_epochs=4, enable_checkpointing=True)
    return module, str(folder / "epoch=1.ckpt")


@EACH
@pytest.mark.parametrize("late", [False, True], ids=["", "built late"])
def test_a_fit_that_is_resumed_twice_has_the_weights_of_one_that_went_through(make, late, tmp_path):
    from lightning.pytorch.callbacks import ModelCheckpoint

    def go(epochs, path=None, folder=tmp_path):
        module = fitted(optimizer="Adam", late=late)
        runner = trainer(
            callbacks=[make(), ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1)],
            max_epochs=epochs,
            enable_checkpointing=True,
        )
        runner.fit(module, loader(), ckpt_path=path)
        return module, runner.optimizers[0].state_dict()

    through, optimizer = go(4)
    torch.load(tmp_path / "epoch=1.ckpt", weights_only=True)
    go(3, str(tmp_path / "epoch=1.ckpt"), tmp_path / "second")
    resumed, again = go(4, str(tmp_path / "second" / "epoch=2.ckpt"), tmp_path / "third")
    assert state(through) == state(resumed)
    assert fingerprint(optimizer) == fingerprint(again)


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
@pytest.mark.parametrize("late", [False, True], ids=["", "built late"])
def test_a_treated_checkpoint_loads_in_every_stage(stage, late, tmp_path):
    trained, path = checkpointed(tmp_path, [Swap()])
    module = fitted(late=late)
    run(module, [Swap()], stage, ckpt_path=path)
    assert isinstance(module.net[1], nn.PReLU)
    assert state(module).keys() == state(trained).keys()
    with pytest.raises(RuntimeError, match=r"treated with Swap\(\); give the new one the same, e\.g\. Trainer"):
        run(fitted(late=late), [], stage, ckpt_path=path)
    with pytest.raises(RuntimeError, match=r"treated with Swap\(\)"):
        run(fitted(late=late), [], ckpt_path=path, max_epochs=5)


def test_treatments_that_only_set_values_leave_other_stages_alone():
    module = fitted()
    before = state(module)
    for stage in ("validate", "test", "predict"):
        run(module, [Draw()], stage)
    assert state(module) == before


def test_validated_before_the_fit():
    module, treatments = fitted(), [Swap(), Draw()]
    runner = trainer(callbacks=treatments)
    runner.validate(module, loader())
    assert [one.applied is not None for one in treatments] == [True, False]
    runner.fit(module, loader())
    assert [bool(one.applied) for one in treatments] == [True, True]


@EACH
def test_a_second_fit_of_the_same_network_does_not_treat_it_again(make):
    once, twice = fitted(), fitted()
    run(once, [make()])
    run(once, [])
    treatment = make()
    run(twice, [treatment])
    run(twice, [treatment])
    if make is Slow:  # works on the optimizer, which is a new one
        return
    assert state(once) == state(twice)


def test_another_callback_of_the_same_kind_sees_that_it_was_done():
    module = fitted()
    run(module, [Swap()])
    module.net.append(nn.Sigmoid())
    again = Swap()
    run(module, [again], "validate")
    assert again.applied.left == ("The network has it already.",)
    assert isinstance(module.net[-1], nn.Sigmoid)
    assert len(marker_of(module).specs) == 1


def test_another_network_is_treated_too():
    treatment, modules = Swap(), [fitted(), fitted()]
    for module in modules:
        run(module, [treatment])
        assert isinstance(module.net[1], nn.PReLU)


def test_a_network_with_nothing_to_change_is_told(caplog):
    run(fitted(network=nn.Sequential(nn.Linear(4, 1))), [Swap()])
    [record] = [record for record in caplog.records if record.name == "lightning_gradwatch"]
    assert record.levelname == "WARNING"
    assert record.message == "GradWatch left the network as it is: Swap(): It has no sigmoid."


@both_namespaces
@pytest.mark.parametrize("stage", ["fit", "validate"])
def test_a_network_that_is_built_late(stage, namespace):
    module, treatment = fitted(namespace, late=True), Swap()
    runner = run(module, [treatment, Draw()], stage, namespace)
    assert isinstance(module.net[1], nn.PReLU)
    assert "configure_model" not in vars(module)
    if stage == "fit":
        held = [id(p) for p in runner.optimizers[0].param_groups[0]["params"]]
        assert held == [id(p) for p in module.parameters()]
        early = fitted(namespace)
        run(early, [Swap(), Draw()], namespace=namespace)
        assert state(module) == state(early)


@EACH
@pytest.mark.parametrize("dies_at", [None, 2], ids=["", "after an exception"])
def test_no_reference_stays(make, dies_at):
    treatment = make()
    module = fitted(dies_at=dies_at)
    try:
        runner = run(module, [treatment])
    except ValueError:
        runner = None
    gone = weakref.ref(module)
    assert "log" not in vars(treatment)
    del module, runner
    gc.collect()
    assert gone() is None


def test_a_late_network_whose_building_fails_holds_nothing():
    module, treatment = fitted(late=True), Swap()
    module.configure_model = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run(module, [treatment])
    assert treatment._waiting is None


def test_an_edit_that_fails_is_the_users_to_see():
    with pytest.raises(RuntimeError, match="half-way"):
        run(fitted(), [Fails()])


@EACH
def test_copies_after_a_fit_are_as_new(make):
    treatment = make(seed=3)
    run(fitted(), [treatment])
    for copied in (pickle.loads(pickle.dumps(treatment)), copy.deepcopy(treatment)):
        assert repr(copied) == repr(treatment)
        assert copied.applied is None
        run(fitted(), [copied])
        assert copied.applied.changed


def test_two_of_a_kind_in_one_fit():
    module = fitted(network=net(3))
    run(module, [Swap(0.1, where=["net.1"]), Swap(0.2, where=["net.3"])])
    assert [type(part) for part in module.net[1:6:2]] == [nn.PReLU, nn.PReLU, nn.Sigmoid]


@pytest.mark.parametrize("order", [1, -1], ids=["before the watch", "behind the watch"])
def test_beside_the_watch(order):
    alone, watched = fitted(), fitted()
    run(alone, [Swap(), Centre()])
    watch = GradWatch(every_n_steps=1, strict=True)
    run(watched, [Swap(), Centre(), watch][::order])
    assert state(alone) == state(watched)
    assert "PReLU" in {kind for _, kind in watch.report.anatomy.activations}


def test_reading_batches_leaves_the_fits_own_alone(tmp_path):
    """Shuffled by a generator of the user's own."""
    seen = []

    def watch(module):
        step = module.training_step
        module.training_step = lambda batch, batch_idx: (seen[-1].append(batch[0].tolist()), step(batch, batch_idx))[1]
        return module

    for callbacks in ([], [Centre()]):
        seen.append([])
        generator = torch.Generator().manual_seed(7)
        runner = trainer(callbacks=callbacks, max_epochs=2)
        runner.fit(watch(fitted()), loader(shuffle=True, generator=generator))
    assert seen[0] == seen[1]


def test_a_stream_that_is_read_once_is_left_to_the_fit():
    class Looks(Centre):
        def _edit(self, edit):
            self.batches = list(edit.batches())

    seen, looks, module = [], Looks(), fitted()
    step = module.training_step
    module.training_step = lambda batch, batch_idx: (seen.append(batch_idx), step(batch, batch_idx))[1]
    trainer(callbacks=[looks]).fit(module, (batch for batch in loader()))
    assert (looks.batches, seen) == ([], [0, 1, 2, 3])
