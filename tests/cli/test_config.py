"""Models and data from a YAML file of LightningCLI."""

import importlib
import sys

import pytest

from lightning_gradwatch._lightning import namespace
from lightning_gradwatch.cli.main import main
from tests.cli.users_nets import NETS

FULL = """
seed_everything: 5
trainer: {max_epochs: 3}
model:
  class_path: nets.Lit
  init_args: {depth: 16, rate: 1e-1}
data:
  class_path: nets.Data
  init_args: {size: 4}
"""


@pytest.fixture(autouse=True)
def nets(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    yield tmp_path
    sys.modules.pop("nets", None)


@pytest.fixture
def check(nets, capsys):
    """A function that checks a YAML text: exit code, stdout, and what was said on stderr."""

    def run(text, *args):
        (nets / "c.yaml").write_text(text)
        code = main(["check", *args, "--config", "c.yaml"])
        out, err = capsys.readouterr()
        return code, out, [line for line in err.splitlines() if not line.startswith("a print")]

    return run


def test_a_file_of_lightning_cli_is_enough(check):
    code, out, said = check(FULL)
    assert said == []
    assert code == 1
    assert out.startswith("GradWatch report of Lit: 12 steps measured")
    assert "steps of SGD on a copy" in out
    assert "there was data for 4 of 12 steps" in out


def test_a_file_that_lightning_cli_wrote(check, nets, monkeypatch):
    """The one that a fit leaves in its log directory."""
    monkeypatch.syspath_prepend(nets)
    import nets as module

    monkeypatch.setattr(sys, "argv", ["fit"])
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # of how Lightning uses it
    LightningCLI = importlib.import_module(f"{namespace().__name__}.cli").LightningCLI
    cli = LightningCLI(
        module.Lit,
        module.Data,
        run=False,
        save_config_callback=None,
        args={"model": {"class_path": "nets.Lit", "init_args": {"depth": 2}}, "data": "nets.Data"},
        seed_everything_default=1,
        subclass_mode_model=True,
        subclass_mode_data=True,
        trainer_defaults={"logger": False, "enable_checkpointing": False, "accelerator": "cpu"},
    )
    code, out, _ = check(cli.parser.dump(cli.config, skip_none=False))
    assert code == 0
    assert "2 steps" in out


def test_seeds_of_the_file_and_of_the_command(check):
    one, other, given = check(FULL)[1], check(FULL.replace("5", "6"))[1], check(FULL, "--seed", "6")[1]
    assert one != other
    assert given == other


def test_classes_of_the_command_and_arguments_of_the_file(check):
    code, out, _ = check("model: {depth: 16}\ndata: {size: 4}\n", "nets:Lit", "--data", "nets:Data")
    assert code == 1
    assert out.startswith("GradWatch report of nets:Lit")


def test_one_section_for_each_subcommand(check):
    assert check("fit:\n" + FULL.replace("\n", "\n  "))[0] == 1


WRONG = {
    "not YAML": ("a: [", (), "'c.yaml': not YAML ("),
    "not a mapping": ("- 1", (), "'c.yaml': not a configuration of LightningCLI."),
    "no model": ("trainer: {}", (), "'c.yaml': there is no model in it."),
    "no such class": ("model: nets.Nope", (), "`model.class_path` must be a name that is there, got 'nets:Nope'"),
    "no such module": ("model: nope.Nope", (), "`model.class_path` must be in a module that can be imported from here"),
    "no path": ("model: Nope", (), "`model.class_path` must be written as package.module:name"),
    "no class": ("model: nets.X", (), "`class_path` must be that of a class, in the file or on the command line"),
    "both": (FULL, ("nets:Lit",), "`class_path` must be left out where the command names the class, got 'nets.Lit'"),
    "a wrong argument": (FULL.replace("depth", "dept"), (), "'c.yaml': model: "),
    "a wrong type": (FULL.replace("16", "deep"), (), "'c.yaml': model: "),
    "a list": ("model: [1]", (), "'c.yaml': model: not the arguments of a class."),
}


@pytest.mark.parametrize(("text", "args", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_one_sentence(check, text, args, sentence):
    code, out, said = check(text, *args)
    assert (code, out) == (2, "")
    assert len(said) == 1
    assert sentence in said[0]


@pytest.mark.parametrize("missing", ["jsonargparse", "yaml"])
def test_without_jsonargparse_there_is_an_install_line(check, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, said = check(FULL)
    assert (code, said) == (2, ['gradwatch: --config needs jsonargparse: pip install "lightning-gradwatch[cli]"'])
