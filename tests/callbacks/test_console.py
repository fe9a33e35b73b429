"""What a user reads while a fit runs."""

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, fit, module, network, trainer


def test_console_block_and_closing_line(caplog):
    fit(GradWatch())
    block, closing = [r.message for r in caplog.records if r.name == "lightning_gradwatch"]
    assert all(word in block for word in ("VANISHING", "net.0", "step 0", "GW101", "Sigmoid", "try"))
    assert len(closing.splitlines()) == 1


def test_verbose_false_is_silent(caplog):
    fit(GradWatch(verbose=False))
    assert [r for r in caplog.records if r.name == "lightning_gradwatch"] == []


def test_other_ranks_are_silent(caplog, monkeypatch):
    watch = GradWatch()
    runner = trainer(NAMESPACES[0], [watch], logger=True)
    monkeypatch.setattr(type(runner), "is_global_zero", False)
    runner.fit(module(NAMESPACES[0], network()), data())
    assert [r for r in caplog.records if r.name == "lightning_gradwatch"] == []
    assert len(watch.report.findings) == 1
