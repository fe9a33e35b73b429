"""Every sentence that the package may answer with, read from its code: errors that it raises, notes that it says.

Nothing is imported or run: a sentence is where ``WrongArgument(...)``, ``MissingExtra(...)`` or
``UnreadableRecord(...)`` is made, and where a ``notes.py`` defines one.  What is only known when it is said
stands in angle brackets.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

NOTES = ("callbacks/notes.py", "verify/notes.py")
ERRORS = ("WrongArgument", "MissingExtra", "UnreadableRecord")
Words = Mapping[str, ast.expr]  # names whose values are known: a helper's arguments at one of its calls


@dataclass(frozen=True)
class Sentence:
    """One of them."""

    kind: str  # the error's name, or "note"
    text: str
    where: str = ""  # what raises it, below the package's name
    advice: str = ""
    at: str = field(default="", compare=False)  # file:line
    name: str = ""  # of a note: what it is called in notes.py

    @property
    def constant(self) -> list[str]:
        """The parts that are the same whenever it is said, longest first."""
        parts = (part.strip(" .,:;()") for part in re.split(r"<\w+>", self.text))
        return sorted(filter(None, parts), key=len, reverse=True)


def sentences(package: Path) -> list[Sentence]:
    """All of them, in the order of the files."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(package.rglob("*.py")) if path.name != "errors.py"}
    trees = {path.relative_to(package): tree for path, tree in trees.items()}
    found = [one for file, tree in trees.items() for one in _errors(file, tree, trees)]
    return [*dict.fromkeys(found), *(note for file in NOTES for note in _notes(trees[Path(file)]))]


# --- errors -----------------------------------------------------------------------------------------------------------


def _errors(file: Path, tree: ast.Module, trees: Mapping[Path, ast.Module]) -> Iterator[Sentence]:
    for function, path in _functions(tree):
        for call in (node for node in _own_nodes(function) if _called(node) in ERRORS):
            for words, caller in _uses(function, path, file, trees):
                for round_ in _rounds(function, call):
                    text = _text(call, {**words, **round_})
                    yield Sentence(_called(call), text, caller, at=f"{file}:{call.lineno}")


def _functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Every function with its dotted name."""
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, name = stack.pop(0)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                inner = f"{name}.{child.name}".strip(".")
                if isinstance(child, ast.FunctionDef):
                    yield child, inner
                stack.append((child, inner))


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    return (node for statement in function.body for node in ast.walk(statement))


def _uses(
    function: ast.FunctionDef, path: str, file: Path, trees: Mapping[Path, ast.Module]
) -> Iterator[tuple[Words, str]]:
    """What the function's arguments are, at each call that gives them in words; nothing known where there is none."""
    names = [argument.arg for argument in function.args.args]
    helper = bool(names) and names[0] in ("name", "argument")  # it raises in the name of whoever calls it
    used = False
    for other, tree in trees.items() if helper else ():
        for caller, caller_path in _functions(tree):
            for node in _own_nodes(caller):
                if _called(node) == function.name and isinstance(node, ast.Call) and _is_word(node.args[:1]):
                    used = True
                    yield dict(zip(names, node.args, strict=False)), _public(other, caller_path)
    if not used:
        yield {}, _public(file, path)


def _rounds(function: ast.FunctionDef, call: ast.AST) -> list[Words]:
    """What the names of a loop around the call stand for in each round, where the loop's tuples are written out."""
    for node in _own_nodes(function):
        if isinstance(node, ast.For) and call in ast.walk(node) and isinstance(node.iter, ast.Tuple):
            names = [name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)]
            rows = [row.elts for row in node.iter.elts if isinstance(row, ast.Tuple)]
            return [dict(zip(names, row, strict=True)) for row in rows]
    return [{}]


def _called(node: ast.AST) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def _is_word(arguments: list[ast.expr]) -> bool:
    return bool(arguments) and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str)


def _public(file: Path, path: str) -> str:
    """``measure/schedule.py``, ``Schedule.__post_init__`` -> ``measure.schedule.Schedule``."""
    return ".".join([*file.with_suffix("").parts, *(part for part in path.split(".") if not part.startswith("_"))])


def _text(call: ast.AST, known: Words) -> str:
    assert isinstance(call, ast.Call)
    words = [_words(argument, known) for argument in call.args]
    match _called(call):
        case "WrongArgument":
            choices = " Available: <choices>." if len(words) > 3 else ""
            return f"`{words[0]}` must be {words[1]}, got <value>.{choices}"
        case "MissingExtra":
            return f'{words[1]} needs {words[0]}: pip install "lightning-gradwatch[{words[2]}]"'
    return words[0]


def _words(node: ast.expr, known: Words) -> str:
    """An expression as text, with what it cannot know in angle brackets."""
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.JoinedStr(values=parts):
            return "".join(_words(part, known) for part in parts)
        case ast.FormattedValue(value=value):
            return _words(value, known)
        case ast.Name(id=name) if name in known and not (isinstance(known[name], ast.Name) and known[name].id == name):
            return _words(known[name], known)
    return f"<{_placeholder(node)}>"


def _placeholder(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name):
            return name.strip("_")
        case ast.Call(func=ast.Attribute(attr="join"), args=[argument]):
            return _placeholder(argument)
        case ast.Attribute(attr=name):
            return "kind" if name.startswith("__") else name
        case ast.Call(args=[argument, *_]) if not isinstance(node.func, ast.Attribute):
            return _placeholder(argument)
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Call(func=function):
            return _placeholder(function)
        case ast.BoolOp(values=[_, *_, last]):
            return _placeholder(last)
        case ast.Subscript(value=owner):
            return _placeholder(owner)
    return "value"


# --- notes ------------------------------------------------------------------------------------------------------------


def _notes(tree: ast.Module) -> Iterator[Sentence]:
    """Constants with the text below them, functions with their docstring."""
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            [name] = [target.id for target in node.targets if isinstance(target, ast.Name)]
            yield Sentence("note", _words(node.value, {}), advice=str(after.value.value), name=name)
        elif isinstance(node, ast.FunctionDef):
            [answer] = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]
            advice = " ".join((ast.get_docstring(node) or "").split())
            yield Sentence("note", _words(answer, {}), advice=advice, name=node.name)
