"""The command line's frame: commands found, errors as one sentence, exit codes as documented."""

import os
import types

import pytest

from lightning_gradwatch import cli
from lightning_gradwatch.cli import demo
from lightning_gradwatch.cli._exit import EXIT_CODES, ExitCode
from lightning_gradwatch.cli.main import commands, main
from tests.cli.process import python

COMMANDS = dict(commands())


def test_every_file_of_the_folder_is_a_command():
    assert {"demo", "explain", "report"} <= set(COMMANDS)
    assert not {name for name in COMMANDS if name.startswith("_") or name == "main"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_says_what_it_does_and_how_it_exits(name, capsys):
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert COMMANDS[name].__doc__.splitlines()[0] in out
    assert EXIT_CODES in out


@pytest.mark.parametrize("code", ExitCode, ids=str)
def test_every_exit_code_is_documented(code):
    assert f"\n  {code.value} " in EXIT_CODES


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["report"], "the following arguments are required: LOGDIR|FILE"),
        (["report", "x", "--format", "pdf"], "argument --format: invalid choice: 'pdf'"),
        (["demo", "--steps", "0"], "must be a whole number of at least 1, got '0'"),
        (["demo", "--steps", "many"], "must be a whole number of at least 1, got 'many'"),
    ],
    ids=["no command", "no option", "no path", "no format", "no steps", "not a number"],
)
def test_wrong_usage_is_one_sentence_and_exit_2(argv, sentence, capsys):
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gradwatch: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_without_a_command_the_help_goes_to_stderr_and_exit_2(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(name in err for name in COMMANDS)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "/x"), 2, "gradwatch: [Errno 13] Permission denied: '/x'\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=["file", "Ctrl-C"],
)
def test_errors_inside_a_command_become_exit_codes(error, code, said, capsys, monkeypatch):
    def broken(args):
        raise error

    monkeypatch.setattr(demo, "run", broken)
    assert main(["demo"]) == code
    assert capsys.readouterr().err == said


def test_an_error_of_ours_keeps_its_traceback(monkeypatch):
    def broken(args):
        raise ZeroDivisionError

    monkeypatch.setattr(demo, "run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["demo"])


def test_a_new_file_in_the_folder_is_a_new_command(tmp_path, monkeypatch, capsys):
    (tmp_path / "hello.py").write_text('"""Say hello."""\ndef arguments(parser): ...\ndef run(args): return 0\n')
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(tmp_path)])
    assert isinstance(dict(commands())["hello"], types.ModuleType)
    assert main(["hello"]) == 0
    main(["--help"])
    assert "Say hello" in capsys.readouterr().out


def test_help_and_list_of_commands_load_neither_torch_nor_lightning():
    code = "import sys; from lightning_gradwatch.cli.main import main; main(['--help']); print(set(sys.modules))"
    loaded = python("-c", code).stdout.splitlines()[-1]
    assert "'lightning_gradwatch.cli.demo'" in loaded
    assert not {name for name in ("torch", "lightning", "pytorch_lightning", "matplotlib") if f"'{name}'" in loaded}


def test_module_runs_as_the_command():
    done = python("-m", "lightning_gradwatch", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("lightning-gradwatch ")


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["at the end", "in the middle"])
def test_a_reader_that_goes_away_is_told_by_the_exit_code_alone(unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    done = python("-m", "lightning_gradwatch", "explain", stdout=writer, unbuffered=unbuffered)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
