"""Finds the remedies: a file in this folder each, and what other packages offer."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.remedies.base import RemedyRule
from lightning_gradwatch.remedies.treatment import Treatment

PACKAGE = GROUP = "lightning_gradwatch.remedies"  # the folder, and the entry points of other packages


@functools.cache
def remedies() -> tuple[RemedyRule, ...]:
    """One of each remedy, by name; ours first.  One of another package that cannot be loaded is left out and said."""
    ours = {rule.name: rule for rule in _own()}
    theirs = {rule.name: rule for rule in _foreign() if rule.name not in ours}
    return tuple(rules[name] for rules in (ours, theirs) for name in sorted(rules))


def is_own(rule: RemedyRule) -> bool:
    """Whether it is one of this package's."""
    return type(rule).__module__.startswith(PACKAGE + ".")


def remake(spec: Mapping[str, Any]) -> Treatment:
    """A treatment from its data (``Treatment.spec``).

    Raises:
        WrongArgument: there is no such treatment, or it does not take these arguments.
    """
    known = {rule.name: type(rule) for rule in remedies() if isinstance(rule, Treatment)}
    name, arguments = spec.get("remedy"), spec.get("arguments")
    if name not in known or not isinstance(arguments, dict):
        raise WrongArgument("spec", "the data of a treatment that is installed", name, sorted(known))
    try:
        return known[name](**arguments)
    except TypeError as error:
        raise WrongArgument("spec", f"arguments of {name}", str(error)) from error


def _own() -> Iterator[RemedyRule]:
    package = importlib.import_module(PACKAGE)
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{PACKAGE}.{info.name}")
        for item in vars(module).values():
            if _is_remedy(item) and item.__module__ == module.__name__:
                yield item()


def _foreign() -> Iterator[RemedyRule]:
    for entry in metadata.entry_points(group=GROUP):
        try:
            yield _checked(entry.load())
        except Exception as error:  # another package's fault may not cost the user the advice of all others
            warnings.warn(f"The remedy {entry.name!r} ({entry.value}) is left out: {error!r}", stacklevel=2)


def _checked(item: object) -> RemedyRule:
    if not _is_remedy(item):
        raise TypeError(
            f"an entry point of {GROUP} must name a subclass of RemedyRule that defines weigh, got {item!r}"
        )
    rule: RemedyRule = item()  # type: ignore[operator]
    missing = [name for name in ("name", "title", "source", "cures") if not getattr(rule, name, None)]
    if missing:
        raise TypeError(f"{type(rule).__name__} does not define {', '.join(missing)}")
    return rule


def _is_remedy(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, RemedyRule) and not inspect.isabstract(item)
