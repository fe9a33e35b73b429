"""``watch.diagnose``: causes proved on copies of the network of a fit, which never notices."""

import copy
import gc

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch, LoopWatch, WrongArgument
from lightning_gradwatch.verify import notes
from tests.callbacks.fits import both_namespaces, data, fit, module, network, trainer
from tests.verify.networks import same, state
from tests.verify.test_untouched import numbers

BATCH = next(iter(data()))


def proofs(report):
    return {cause.code: cause.recovered for cause in report.worst.causes}


@both_namespaces
def test_a_fit_that_is_over_is_diagnosed(namespace):
    watch = GradWatch(every_n_steps=1, verbose=False)
    fitted = fit(watch, namespace)
    before, drawn, said = state(fitted), numbers(), watch.report
    report = watch.diagnose(BATCH)
    assert proofs(report)["GW101"] > 0.5
    assert proofs(said) == dict.fromkeys(proofs(said)), "the watch's own report is what was seen in the fit"
    assert watch.report == said
    assert report.frames == said.frames
    assert same(before, state(fitted))
    assert all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(drawn, numbers(), strict=True)
    )
    assert fitted.trainer is not None


def weights(fitted):
    return nn.utils.parameters_to_vector(fitted.parameters()).detach()


@both_namespaces
def test_a_fit_that_runs_is_diagnosed_and_goes_on_as_if_it_had_not_been(namespace):
    told = []

    def run(asks):
        watch = GradWatch(every_n_steps=1, verbose=False, strict=True)

        def ask(fitted, index):
            if asks and index == 6:
                before, drawn = state(fitted), numbers()
                told.append(watch.diagnose(BATCH))
                assert same(before, state(fitted))
                assert torch.equal(drawn[0], torch.get_rng_state())
                fitted.log("still", 1.0)

        net = nn.Sequential(nn.Dropout(0.1), nn.BatchNorm1d(64), *network())
        fitted = module(namespace, net, on_step=ask)
        trainer(namespace, [watch]).fit(fitted, data())
        return weights(fitted), watch.report

    torch.manual_seed(7)
    plain, quiet = run(asks=False)
    torch.manual_seed(7)
    asked, after = run(asks=True)
    assert torch.equal(plain, asked)
    assert [frame.loss for frame in quiet.frames] == [frame.loss for frame in after.frames]
    assert len(told) == 1, "the copies' own training steps ask nobody"
    assert proofs(told[0])["GW101"] > 0.5


def test_parts_that_a_fit_made_in_setup_are_not_made_again():
    watch, net = GradWatch(every_n_steps=1, verbose=False), network()
    fitted = module("lightning.pytorch", nn.Identity())
    fitted.setup = lambda stage: setattr(fitted, "net", copy.deepcopy(net)) if stage == "fit" else None
    trainer("lightning.pytorch", [watch]).fit(fitted, data())
    assert proofs(watch.diagnose(BATCH))["GW101"] > 0.5


def test_a_loop_of_ones_own_is_diagnosed():
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    with LoopWatch(model, optimizer, every_n_steps=1, verbose=False) as watch:
        for x, y in data():
            loss = nn.functional.cross_entropy(model(x), y)
            with watch.step(loss):
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        before = state(model)
        inside = watch.diagnose(BATCH, loss=lambda out, b: nn.functional.cross_entropy(out, b[1]))
        assert same(before, state(model))
    assert proofs(inside)["GW101"] > 0.5
    assert proofs(watch.diagnose(BATCH)) == pytest.approx(proofs(inside))


def test_nothing_is_tried_where_nothing_is_found_or_nobody_asks():
    healthy = GradWatch(every_n_steps=1, verbose=False)
    fit(healthy, sick=False)
    assert healthy.diagnose(BATCH) == healthy.report
    assert GradWatch().diagnose(BATCH) == GradWatch().report
    sick = GradWatch(every_n_steps=1, verbose=False)
    fitted = fit(sick)
    assert sick.diagnose(BATCH, prove=False) == sick.report
    assert fitted.training


def test_a_network_that_is_gone_has_to_be_given():
    watch = GradWatch(every_n_steps=1, verbose=False)
    fitted = fit(watch)
    kept = copy.deepcopy(fitted.net)
    del fitted
    gc.collect()
    with pytest.raises(
        WrongArgument, match=r"`model` must be given where no fit's network is there any more, got None"
    ):
        watch.diagnose(BATCH)
    assert proofs(watch.diagnose(BATCH, kept))["GW101"] > 0.5
    report = watch.diagnose(BATCH, network(sick=False))
    assert notes.not_shown("vanishing:loss") in report.notes
