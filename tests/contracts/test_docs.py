"""What the documentation says is so: generated pages are fresh, links lead somewhere, examples and names exist."""

import re
import runpy

import pytest

from lightning_gradwatch import GradWatch
from lightning_gradwatch.sinks import SCALARS
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_generated_pages_are_what_the_code_says():
    written = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    for path, text in written:
        assert path.read_text() == text, f"{path.name} is stale: run python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_are_python(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
        compile(block, page.name, "exec")


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name == "index.md" or name.startswith("reference/rules/") or f"]({name})" in index, name


def test_the_docstring_lists_every_key_with_its_unit():
    for key, (unit, _) in SCALARS.items():
        assert re.search(rf"``{re.escape(key)}`` \({re.escape(unit)}\)", GradWatch.__doc__), key


def test_arguments_in_the_readme_exist():
    code = GradWatch.__init__.__code__
    known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    for page in PAGES:
        for call in re.findall(r"GradWatch\(([^)]*)\)", page.read_text()):
            assert all(name in known for name in re.findall(r"(\w+)=", call)), call
