"""The rules of the house as functions: from a package folder to sentences, one for each place that breaks the rule.

Every import counts, wherever it stands: at the top, inside a function, under TYPE_CHECKING, or as a literal name given
to ``import_module``.  What a file depends on is what it names, not what happens to run first.
"""

import ast
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NAME = "lightning_gradwatch"

# The import order: a folder may import those on the lines below its own, itself, and the foundations.
LAYERS = (
    {"__main__"},
    {"cli"},
    {"callbacks", "tensorboard_plugin", "testing"},
    {"verify"},
    {"remedies"},
    {"sinks", "report", "cases"},
    {"measure", "detect", "diagnose"},
    {"anatomy"},
    {"records"},
    {"_lightning", "arguments"},
    {"_imports", "errors", "voice"},
)
RANK = {folder: rank for rank, folders in enumerate(LAYERS) for folder in folders}
PLAIN = ("errors", "records", "detect", "diagnose", "report", "tensorboard_plugin")  # what must run without torch
HEAVY = ("torch", "torchmetrics", "triton", "lightning", "pytorch_lightning", "lightning_fabric")
LIGHTNING = ("lightning", "pytorch_lightning", "lightning_fabric")
TRAINER = re.compile(r"(^|_)(trainer|loop|strategy|connector|precision_plugin)$")  # what the trainer is made of

LONGEST, MEDIAN = 350, 150


@dataclass(frozen=True)
class Import:
    """One name that one file imports: ``from a.b import c`` is ``a.b.c``."""

    file: str  # relative to the package: "records/frame.py"
    line: int
    name: str
    lazy: bool = False  # inside a function or under TYPE_CHECKING: importing the file does not run it

    @property
    def place(self) -> str:
        """File and line as editors understand them."""
        return f"{self.file}:{self.line}"

    @property
    def top(self) -> str:
        """The package it comes from."""
        return self.name.partition(".")[0]

    @property
    def folder(self) -> str:
        """The folder or single file of our own package that it comes from; "" where it is the front door itself."""
        return self.name.partition(".")[2].partition(".")[0]


def sources(package: Path) -> Iterator[tuple[str, ast.Module]]:
    """Every Python file of the package, with its path in it."""
    for path in sorted(package.rglob("*.py")):
        yield path.relative_to(package).as_posix(), _parse(path.read_text(encoding="utf-8"))


def imports(package: Path) -> list[Import]:
    """Every import of the package."""
    return [found for file, tree in sources(package) for found in _imports(file, tree)]


def broken_order(package: Path) -> list[str]:
    """Imports against the order of the layers, by relative name, or through the front door."""
    return [f"{i.place} {problem}" for i in imports(package) if (problem := _against_order(i))]


def lightning_outside(package: Path) -> list[str]:
    """Imports of Lightning anywhere but in ``_lightning/``."""
    return [
        f"{i.place} imports {i.name}: only _lightning/ knows Lightning"
        for i in imports(package)
        if i.top in LIGHTNING and not _knows_lightning(i.file)
    ]


def private_trainer(package: Path) -> list[str]:
    """Underscored attributes of a trainer, its loops, strategy or connectors outside ``_lightning/``."""
    return [
        f"{file}:{node.lineno} touches {owner}.{name}: only _lightning/ may"
        for file, tree in sources(package)
        if not _knows_lightning(file)
        for node in ast.walk(tree)
        for owner, name in _private_access(node)
    ]


def heavy_in_plain(package: Path) -> list[str]:
    """Imports of torch or Lightning in a file that the torch-free half needs, directly or through others."""
    by_file: dict[str, list[Import]] = {file: [] for file, _ in sources(package)}
    for found in imports(package):
        by_file[found.file].append(found)
    todo = {file: file for file in by_file if Path(file).parts[0].removesuffix(".py") in PLAIN}
    reached: dict[str, str] = {}  # file -> the way to it, for the message
    while todo:
        file, way = todo.popitem()
        reached[file] = way
        for needed in (f for i in by_file[file] if i.top == NAME for f in _files_of(i.name, by_file)):
            if needed not in reached:
                todo.setdefault(needed, f"{way} -> {needed}")
    return [
        f"{way}:{i.line} imports {i.name}: it must run without torch"
        for file, way in sorted(reached.items())
        for i in by_file[file]
        if i.top in HEAVY
    ]


def too_long(package: Path) -> list[str]:
    """Files above the longest length."""
    lengths = {file: len((package / file).read_text(encoding="utf-8").splitlines()) for file, _ in sources(package)}
    return [f"{file} has {n} lines, more than {LONGEST}" for file, n in lengths.items() if n > LONGEST]


def median_length(package: Path) -> float:
    """The median length of the files, those that only gather names left out."""
    files = [package / file for file, _ in sources(package) if not file.endswith("__init__.py")]
    return statistics.median(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def without_docstring(package: Path) -> list[str]:
    """Modules, and public classes, functions and methods, that do not say what they are."""
    silent = []
    for file, tree in sources(package):
        if ast.get_docstring(tree) is None:
            silent.append(f"{file}:1 has no docstring")
        silent += [f"{file}:{n.lineno} {n.name} has no docstring" for n in _public(tree) if not ast.get_docstring(n)]
    return silent


def without_test(package: Path, tests: Path, exceptions: dict[str, str]) -> list[str]:
    """Source files that no ``tests/<folder>/test_<file>.py`` mirrors."""
    return [
        f"{file} has no tests/{mirror}"
        for file, _ in sources(package)
        if not file.endswith("__init__.py") and file not in exceptions
        if not (tests / (mirror := _mirror(file))).is_file()
    ]


# --- how to read a file ----------------------------------------------------------------------------------------------


def _knows_lightning(file: str) -> bool:
    return file.startswith("_lightning/")


@cache
def _parse(source: str) -> ast.Module:
    return ast.parse(source)


def _imports(file: str, tree: ast.Module) -> Iterator[Import]:
    at_import = set(map(id, _run_at_import(tree)))
    for node in ast.walk(tree):
        for name in _names(node):
            yield Import(file, node.lineno, name, lazy=id(node) not in at_import)


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            return ["." * level + ".".join(filter(None, (module, alias.name))) for alias in names]
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
            return [name] if _last_word(function) in ("import_module", "__import__") else []
    return []


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that importing the file runs."""
    for child in ast.iter_child_nodes(node):
        lazy = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        typing_only = isinstance(child, ast.If) and _last_word(child.test) == "TYPE_CHECKING"
        if not lazy and not typing_only:
            yield child
            yield from _run_at_import(child)


def _last_word(node: ast.AST) -> str:
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word):
            return word
    return ""


def _against_order(found: Import) -> str | None:
    own, other = Path(found.file).parts[0].removesuffix(".py"), found.folder
    if found.name.startswith("."):
        return f"imports {found.name} relatively: write the absolute name"
    if own != "__init__" and own not in RANK:
        return f"stands in {own}, which has no place in the import order: give it one in LAYERS"
    if found.top != NAME or own in (other, "__init__") or other == "__version__":  # __init__ names everybody, lazily
        return None
    if other not in RANK:
        return f"imports {found.name} through the front door: import it from where it lives"
    if RANK[own] < RANK[other]:
        return None
    return f"imports {found.name}: {own} stands {'beside' if RANK[own] == RANK[other] else 'below'} {other}"


def _private_access(node: ast.AST) -> list[tuple[str, str]]:
    match node:
        case ast.Attribute(value=owner, attr=name):
            pass
        case ast.Call(func=function, args=[owner, ast.Constant(value=str(name)), *_]):
            if _last_word(function) not in ("getattr", "setattr", "hasattr"):
                return []
        case _:
            return []
    private = name.startswith("_") and not name.endswith("__")
    trainer = any(TRAINER.search(_last_word(part)) for part in ast.walk(owner))
    return [(ast.unparse(owner), name)] if private and trainer else []


def _files_of(name: str, files: dict[str, list[Import]]) -> list[str]:
    """The files that importing this name of ours loads: the module and the folders on the way to it."""
    parts = name.split(".")[1:]  # not the front door, which loads nothing
    ways = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    return [file for way in ways for file in (f"{way}/__init__.py", f"{way}.py") if file in files]


def _public(node: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in node.body:
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not child.name.startswith("_"):
            if any(_last_word(decorator) in ("overload", "override", "setter") for decorator in child.decorator_list):
                continue  # said once, where it is defined
            yield child
            if isinstance(child, ast.ClassDef):
                yield from _public(child)


def _mirror(file: str) -> str:
    path = Path(file)
    return path.with_name(f"test_{path.stem.strip('_')}.py").as_posix()
