"""The watch comes from YAML, the command line, Hydra or the module itself."""

import importlib
import inspect

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer

# Lightning calls jsonargparse in its older way, and warns where a configuration has no seed.
of_lightning_cli = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:No seed found:UserWarning")

YAML = """
seed_everything: 0
trainer:
  accelerator: cpu
  max_steps: 12
  gradient_clip_val: 0.25
  logger: false
  enable_checkpointing: false
  enable_progress_bar: false
  enable_model_summary: false
  callbacks:
    - class_path: lightning_gradwatch.GradWatch
      init_args: {every_n_steps: 5, on_vanishing: decay_lr, decay_factor: 0.25, strict: true}
"""
QUIET = ["--trainer.max_steps=1", "--trainer.accelerator=cpu", "--trainer.logger=false"]
QUIET += ["--trainer.enable_progress_bar=false", "--trainer.enable_checkpointing=false"]

# Every argument, none of them its default.
ARGUMENTS = {
    "every_n_steps": 7,
    "on_vanishing": "decay_lr",
    "decay_factor": 0.25,
    "min_lr": 1e-5,
    "cooldown_steps": 40,
    "max_decays": 2,
    "record_to": "watched.jsonl",
    "picture_every_n_steps": 0,
    "verbose": False,
    "strict": True,
    "name": "mine",
    "ignore": {"GW101:encoder.*": "its gates are meant to be decided", "DeadRelu": "sparse on purpose"},
    "profile": "sagemaker",
    "budget": 1.5,
    "remedies": ["Initialize", "AddResidual"],
    "seed": 3,
}


def demo(namespace, name):
    """One of Lightning's demo language models on a small corpus of our own: theirs would be downloaded."""
    home = f"{namespace}.demos.{name.removeprefix('Lightning').lower()}"
    base = getattr(pytest.importorskip(home, reason="Lightning 2.2 has no demo LSTM"), name)

    class Demo(base):
        def __init__(self, vocab_size: int = 32):
            super().__init__(vocab_size)

        def prepare_data(self):
            """Nothing to fetch."""

        def train_dataloader(self):
            tokens = torch.randint(0, 32, (400, 13), generator=torch.Generator().manual_seed(0))
            return DataLoader(TensorDataset(tokens[:, :-1], tokens[:, 1:]), batch_size=20)

    return Demo


def arguments_of(watch):
    """What the watch was made with, by the names of its arguments."""
    return {name: getattr(watch.settings, name) for name in inspect.signature(GradWatch).parameters}


def watches(trainer):
    return [callback for callback in trainer.callbacks if isinstance(callback, GradWatch)]


# --- LightningCLI ----------------------------------------------------------------------------------------------------


@pytest.fixture
def cli(monkeypatch):
    """A function that runs a LightningCLI as from a shell."""
    pytest.importorskip("jsonargparse")

    def run(namespace, model, args):
        monkeypatch.setattr("sys.argv", ["script.py", *args])
        return importlib.import_module(f"{namespace}.cli").LightningCLI(model, save_config_callback=None)

    return run


OFTEN = [(NAMESPACES[0], "LightningTransformer"), (NAMESPACES[1], "LightningLSTM")]
SELDOM = [(NAMESPACES[1], "LightningTransformer"), (NAMESPACES[0], "LightningLSTM")]  # each takes some ten seconds


@of_lightning_cli
@pytest.mark.parametrize(
    ("namespace", "demo_name"),
    [*OFTEN, *(pytest.param(*each, marks=pytest.mark.slow) for each in SELDOM)],
    ids="LightningCLI with YAML, {}".format,
)
def test_lightning_cli_with_yaml(namespace, demo_name, tmp_path, cli):
    (tmp_path / "config.yaml").write_text(YAML)
    done = cli(namespace, demo(namespace, demo_name), ["fit", "--config", str(tmp_path / "config.yaml")])
    [watch] = watches(done.trainer)
    assert (watch.settings.every_n_steps, watch.settings.on_vanishing) == (5, "decay_lr")
    assert [frame.step for frame in watch.report.frames] == [*range(11), 11]
    assert not watch.report.alarms


@of_lightning_cli
@both_namespaces
@pytest.mark.parametrize("given", ["GradWatch", "lightning_gradwatch.GradWatch"], ids="--trainer.callbacks+={}".format)
def test_lightning_cli_command_line_and_its_printed_configuration(namespace, given, tmp_path, capsys, cli):
    """Printed and fed back, the configuration makes the same watch and prints as the same text."""
    boring = importlib.import_module(f"{namespace}.demos.boring_classes").BoringModel
    values = {name: str(value).lower() if isinstance(value, bool) else value for name, value in ARGUMENTS.items()}
    options = [f"--trainer.callbacks+={given}", *(f"--trainer.callbacks.{name}={values[name]}" for name in values)]
    printed = []
    for source in (options, ["--config", str(tmp_path / "printed.yaml")]):
        with pytest.raises(SystemExit):
            cli(namespace, boring, ["fit", *source, "--print_config"])
        printed.append(capsys.readouterr().out)
        (tmp_path / "printed.yaml").write_text(printed[-1])
    assert "class_path: lightning_gradwatch.GradWatch" in printed[0]
    assert printed[1] == printed[0]

    made = [cli(namespace, boring, ["fit", *source, *QUIET]) for source in (options, ["--config", "printed.yaml"])]
    assert [arguments_of(watch) for one in made for watch in watches(one.trainer)] == [ARGUMENTS, ARGUMENTS]


@of_lightning_cli
@both_namespaces
def test_lightning_cli_tells_a_wrong_value(namespace, tmp_path, capsys, cli):
    (tmp_path / "config.yaml").write_text(YAML.replace("every_n_steps: 5", "every_n_steps: 0"))
    with pytest.raises((SystemExit, ValueError)) as raised:
        cli(namespace, demo(namespace, "LightningTransformer"), ["fit", "--config", str(tmp_path / "config.yaml")])
    said = capsys.readouterr().err + str(raised.value)
    assert "`every_n_steps` must be a whole number of at least 1, got 0" in said


# --- Hydra -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hydra_instantiate():
    return pytest.importorskip("hydra.utils").instantiate


@both_namespaces
@pytest.mark.parametrize("nested", [False, True], ids=["Hydra, one callback at a time", "Hydra, the whole Trainer"])
def test_hydra_target(namespace, nested, hydra_instantiate):
    from omegaconf import OmegaConf

    watch = {"_target_": "lightning_gradwatch.GradWatch", **ARGUMENTS, "every_n_steps": "${steps}"}
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    options = {"_target_": f"{namespace}.Trainer", "accelerator": "cpu", "max_steps": 4, **quiet, "callbacks": [watch]}
    config = OmegaConf.create({"steps": 7, "trainer": options})
    if nested:
        made = hydra_instantiate(config.trainer)
    else:  # as the widespread lightning-hydra template does
        made = hydra_instantiate(config.trainer, callbacks=[hydra_instantiate(c) for c in config.trainer.callbacks])
    [watch] = watches(made)
    assert arguments_of(watch) == ARGUMENTS
    made.fit(module(namespace, network()), data())
    assert [frame.step for frame in watch.report.frames] == [0, 1, 2, 3]


def test_hydra_tells_a_wrong_value(hydra_instantiate):
    with pytest.raises(Exception, match="`every_n_steps` must be a whole number of at least 1, got 0"):
        hydra_instantiate({"_target_": "lightning_gradwatch.GradWatch", "every_n_steps": 0})


# --- configure_callbacks ---------------------------------------------------------------------------------------------


def module_with(namespace, give):
    """A module whose ``configure_callbacks`` is ``give``."""
    plain = module(namespace, network())

    class WithCallbacks(type(plain)):
        def configure_callbacks(self):
            return give()

        def test_step(self, batch, batch_idx):
            self.log("test_loss", self.training_step(batch, batch_idx))

    plain.__class__ = WithCallbacks
    return plain


@both_namespaces
@pytest.mark.parametrize(
    "many", [False, True], ids=["configure_callbacks gives one", "configure_callbacks gives a list"]
)
def test_configure_callbacks_returns(namespace, many):
    watch = GradWatch()
    fit = trainer(namespace)
    fit.fit(module_with(namespace, lambda: [watch] if many else watch), data())
    assert watches(fit) == [watch]
    assert [frame.step for frame in watch.report.frames] == [*range(8)]


@both_namespaces
def test_configure_callbacks_gives_the_same_watch_for_fit_and_test(namespace):
    watch, asked = GradWatch(), []
    fitted = module_with(namespace, lambda: asked.append(1) or watch)
    fit = trainer(namespace)
    fit.fit(fitted, data())
    [finding] = watch.report.findings
    fit.test(fitted, data(), verbose=False)
    assert len(asked) == 2
    assert watches(fit) == [watch], "Lightning takes the present one out before it adds it again"
    assert watch.report.findings == (finding,), "the report is still that of the fit"


@both_namespaces
def test_configure_callbacks_replaces_the_watch_of_the_trainer(namespace):
    of_trainer, of_module = GradWatch(), GradWatch(every_n_steps=3)
    fit = trainer(namespace, [of_trainer])
    fit.fit(module_with(namespace, lambda: of_module), data())
    assert watches(fit) == [of_module]
    assert len(of_module.report.frames) == 8
    assert not of_trainer.report.frames
    assert of_trainer.report.findings == ()
