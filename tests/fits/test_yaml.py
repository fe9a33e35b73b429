"""Both LightningCLIs take GradWatch from YAML, around Lightning's own demo models."""

import importlib

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.callbacks.fits import both_namespaces

pytest.importorskip("jsonargparse")

pytestmark = [  # Lightning calls jsonargparse in its older way, and warns where a configuration has no seed
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:No seed found:UserWarning"),
]

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


def demo(namespace, name):
    """One of Lightning's demo language models on a small corpus of our own: theirs would be downloaded."""
    base = getattr(importlib.import_module(f"{namespace}.demos.{name.removeprefix('Lightning').lower()}"), name)

    class Demo(base):
        def __init__(self, vocab_size: int = 32):
            super().__init__(vocab_size)

        def prepare_data(self):
            """Nothing to fetch."""

        def train_dataloader(self):
            tokens = torch.randint(0, 32, (400, 13), generator=torch.Generator().manual_seed(0))
            return DataLoader(TensorDataset(tokens[:, :-1], tokens[:, 1:]), batch_size=20)

    return Demo


@pytest.fixture
def run(monkeypatch):
    """A function that runs a LightningCLI as from a shell."""

    def run(namespace, model, args):
        monkeypatch.setattr("sys.argv", ["script.py", *args])
        return importlib.import_module(f"{namespace}.cli").LightningCLI(model, save_config_callback=None)

    return run


@both_namespaces
@pytest.mark.parametrize("name", ["LightningTransformer", "LightningLSTM"])
def test_demo_models_fit_with_the_watch_from_yaml(namespace, name, tmp_path, run):
    (tmp_path / "config.yaml").write_text(YAML)
    done = run(namespace, demo(namespace, name), ["fit", "--config", str(tmp_path / "config.yaml")])
    [watch] = [c for c in done.trainer.callbacks if type(c).__name__ == "GradWatch"]
    assert (watch.settings.every_n_steps, watch.settings.on_vanishing) == (5, "decay_lr")
    assert [frame.step for frame in watch.report.frames] == [*range(11), 11]
    assert not watch.report.alarms


@both_namespaces
def test_command_line_and_printed_configuration_agree(namespace, tmp_path, capsys, run):
    model = demo(namespace, "LightningTransformer")
    options = ["--trainer.callbacks+=lightning_gradwatch.GradWatch", "--trainer.callbacks.every_n_steps=7"]
    with pytest.raises(SystemExit):
        run(namespace, model, ["fit", *options, "--print_config"])
    printed = capsys.readouterr().out
    assert "class_path: lightning_gradwatch.GradWatch" in printed
    assert "every_n_steps: 7" in printed
    (tmp_path / "printed.yaml").write_text(printed)
    quiet = ["--trainer.max_steps=1", "--trainer.accelerator=cpu", "--trainer.logger=false"]
    quiet += ["--trainer.enable_progress_bar=false", "--trainer.enable_checkpointing=false"]
    done = run(namespace, model, ["fit", "--config", str(tmp_path / "printed.yaml"), *quiet])
    [watch] = [c for c in done.trainer.callbacks if type(c).__name__ == "GradWatch"]
    assert watch.settings.every_n_steps == 7


@both_namespaces
def test_a_wrong_value_in_yaml_is_told(namespace, tmp_path, capsys, run):
    (tmp_path / "config.yaml").write_text(YAML.replace("every_n_steps: 5", "every_n_steps: 0"))
    with pytest.raises((SystemExit, ValueError)) as raised:
        run(namespace, demo(namespace, "LightningLSTM"), ["fit", "--config", str(tmp_path / "config.yaml")])
    said = capsys.readouterr().err + str(raised.value)
    assert "`every_n_steps` must be a whole number of at least 1, got 0" in said
