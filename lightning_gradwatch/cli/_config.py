"""The model and the data that a YAML file of LightningCLI describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning_gradwatch.cli._targets import load
from lightning_gradwatch.errors import MissingExtra, UnreadableRecord, WrongArgument


def parts(file: Path, model: Any = None, data: Any = None) -> tuple[Callable[[], Any], Callable[[], Any] | None]:
    """Functions that make the model and the data; None: the file describes no data.

    Args:
        file: a YAML file as LightningCLI reads and writes it.
        model: the model's class, where the file gives only its arguments.
        data: the same of the data.

    Raises:
        MissingExtra: jsonargparse is not installed.
        UnreadableRecord: the file is no such file.
        WrongArgument: it does not say which class.
    """
    sections = _sections(file)
    if "model" not in sections and model is None:
        raise UnreadableRecord(f"{str(file)!r}: there is no model in it.")
    made = _maker("model", sections.get("model"), model, file)
    if "data" not in sections and data is None:
        return made, None
    return made, _maker("data", sections.get("data"), data, file)


def seed_of(file: Path) -> int | None:
    """The seed that the file asks for; None: none."""
    seed = _sections(file).get("seed_everything")
    return seed if type(seed) is int and seed >= 0 else None


def _sections(file: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise _missing() from error
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnreadableRecord(f"{str(file)!r}: not YAML ({' '.join(str(error).split())}).") from None
    found = found.get("fit", found) if isinstance(found, dict) else None  # one file for several subcommands
    if not isinstance(found, dict):
        raise UnreadableRecord(f"{str(file)!r}: not a configuration of LightningCLI.")
    return found


def _maker(key: str, section: Any, kind: Any, file: Path) -> Callable[[], Any]:
    """What makes the object that a section describes, anew at every call."""
    section = {"class_path": section} if isinstance(section, str) else section or {}
    if not isinstance(section, dict):
        raise UnreadableRecord(f"{str(file)!r}: {key}: not the arguments of a class.")
    path, values = section.get("class_path"), section
    if path is not None:
        if kind is not None:
            raise WrongArgument("class_path", "left out where the command names the class", path)
        kind = load(f"{key}.class_path", _as_target(str(path)))
        values = {**(section.get("init_args") or {}), **(section.get("dict_kwargs") or {})}
    if not isinstance(kind, type):
        raise WrongArgument("class_path", "that of a class, in the file or on the command line", path or kind)
    return _made(key, kind, values, file)


def _made(key: str, kind: type, values: dict[str, Any], file: Path) -> Callable[[], Any]:
    try:
        import jsonargparse
    except ImportError as error:
        raise _missing() from error
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, key, fail_untyped=False)
    try:
        parsed = parser.parse_object({key: values})
    except (jsonargparse.ArgumentError, TypeError, ValueError) as error:
        raise UnreadableRecord(f"{str(file)!r}: {key}: {' '.join(str(error).split())[:400]}") from None
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes  # its name before 4.49
    return lambda: instantiate(parsed)[key]


def _as_target(path: str) -> str:
    """``package.module.Class`` as ``package.module:Class``."""
    module, _, name = path.rpartition(".")
    return f"{module}:{name}"


def _missing() -> MissingExtra:
    return MissingExtra("jsonargparse", "--config", "cli")
