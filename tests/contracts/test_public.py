"""What the package offers by name, and what asking for it costs."""

import ast
import importlib

import pytest

import lightning_gradwatch
from tests.conftest import ROOT

# The contract with everybody's code: a name may join; one that leaves or moves is news in CHANGELOG.md.
PUBLIC = {
    "callbacks.gradwatch": {"GradWatch"},
    "callbacks.heal": {"heal"},
    "callbacks.loop": {"LoopWatch"},
    "errors": {"GradWatchError", "MissingExtra", "UnreadableRecord", "WrongArgument"},
    "measure.metrics": {"GradientNorm", "UpdateRatio"},
    "records": {"Cause", "CauseKind", "Event", "Finding", "Forecast", "Frame", "Kind", "Remedy", "Severity"},
    "remedies.add_residual": {"AddResidual"},
    "remedies.applied": {"Applied"},
    "remedies.boost_depth_lr": {"BoostDepthLR"},
    "remedies.clip_gradients": {"ClipGradients"},
    "remedies.decay_lr": {"DecayLR"},
    "remedies.initialize": {"Initialize"},
    "remedies.insert_normalization": {"InsertNormalization"},
    "remedies.lower_decay": {"LowerDecay"},
    "remedies.pretrain_layerwise": {"PretrainLayerwise"},
    "remedies.raise_rate": {"RaiseRate"},
    "remedies.replace_activation": {"ReplaceActivation"},
    "remedies.scale_input": {"ScaleInput"},
    "remedies.swap_recurrent": {"SwapRecurrent"},
    "remedies.switch_optimizer": {"SwitchOptimizer"},
    "remedies.treatment": {"Treatment"},
    "remedies.warm_up": {"WarmUp"},
    "report.report": {"Report"},
    "verify.checkup": {"checkup"},
    "verify.trial": {"Verdict", "trial"},
}
NAMES = sorted(name for names in PUBLIC.values() for name in names)
# What cannot do without torch.
TENSORS = {"GradWatch", "GradientNorm", "LoopWatch", "UpdateRatio", "Verdict", "checkup", "heal", "trial"}
HEAVY = [
    "lightning",
    "matplotlib",
    "numpy",
    "pytorch_lightning",
    "rich",
    "sklearn",
    "tensorboard",
    "torch",
    "torchmetrics",
]
FRONT_DOOR = ast.parse((ROOT / "lightning_gradwatch/__init__.py").read_text(encoding="utf-8"))

LOADED = """if True:
    import sys
    import lightning_gradwatch
    for name in sys.argv[2].split(","):
        getattr(lightning_gradwatch, name)
    print(*sorted(set(sys.argv[1].split(",")) & sys.modules.keys()))
    """


def test_all_is_the_public_list():
    assert lightning_gradwatch.__all__ == sorted([*NAMES, "__version__"])


def test_type_checkers_see_the_public_list():
    typing_only = next(node for node in FRONT_DOOR.body if isinstance(node, ast.If))
    seen = {
        statement.module.removeprefix("lightning_gradwatch."): {alias.name for alias in statement.names}
        for statement in typing_only.body
        if isinstance(statement, ast.ImportFrom)
    }
    assert seen == PUBLIC


@pytest.mark.parametrize(("home", "name"), [(home, name) for home, names in PUBLIC.items() for name in sorted(names)])
def test_name_is_the_one_from_its_home(home, name):
    there = getattr(importlib.import_module(f"lightning_gradwatch.{home}"), name)
    assert getattr(lightning_gradwatch, name) is there
    assert vars(lightning_gradwatch)[name] is there, "the second look-up should not come through __getattr__"


def test_dir_lists_every_public_name_before_any_is_used(run_python):
    shown = run_python("import lightning_gradwatch as g; print(*dir(g))").split()
    assert shown == lightning_gradwatch.__all__


def test_star_brings_the_public_list(run_python):
    code = "own = {*globals(), 'own'}; from lightning_gradwatch import *; print(*sorted(globals().keys() - own))"
    assert run_python(code).split() == lightning_gradwatch.__all__


@pytest.mark.parametrize("name", ["Nonsense", "gradwatch", "_private", "__wrapped__"])
def test_unknown_name_raises_the_usual_error(name):
    with pytest.raises(AttributeError, match=rf"^module 'lightning_gradwatch' has no attribute '{name}'$"):
        getattr(lightning_gradwatch, name)


def test_unknown_name_cannot_be_imported():
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec("from lightning_gradwatch import Nonsense")


@pytest.mark.parametrize(
    "names",
    [["__version__"], [name for name in NAMES if name not in TENSORS]],
    ids=["the package alone", "everything but what computes with tensors"],
)
def test_import_is_light(run_python, names):
    assert run_python(LOADED, ",".join(HEAVY), ",".join(names)).split() == []


def test_light_is_measured(run_python):
    """The probe above does see what is loaded."""
    assert "json" in run_python(LOADED, "json,torch", "Report,Frame").split()
