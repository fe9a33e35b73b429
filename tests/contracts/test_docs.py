"""What the documentation says is so: generated pages are fresh, links lead somewhere, examples and names exist."""

import re
import runpy

import pytest

from lightning_gradwatch import GradWatch
from lightning_gradwatch.diagnose import rules
from lightning_gradwatch.sinks import SCALARS
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_generated_pages_are_what_the_code_says():
    written = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    for path, text in written:
        assert path.read_text() == text, f"{path.name} is stale: run python docs/generate.py"


def test_the_readme_lists_every_rule_with_what_it_explains():
    table = (ROOT / "README.md").read_text().partition("<!-- rules -->")[2].partition("<!-- /rules -->")[0]
    rows = re.findall(r"^\| \[(GW\d+)\]\(\S+\) \| (.+?) \| (\S+) \| (.+) \|$", table, re.M)
    assert rows == [(r.code, r.title, str(r.kind), ", ".join(map(str, r.findings))) for r in rules()]


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


SENTENCES = runpy.run_path(str(ROOT / "docs" / "sentences.py"))
SAID = {one.text: one for one in SENTENCES["sentences"](ROOT / "lightning_gradwatch") if one.constant}
TESTS = {path: path.read_text().replace("\\", "") for path in (ROOT / "tests").rglob("*.py")}


def test_no_error_is_raised_that_the_page_of_errors_does_not_know():
    known = {one.at for one in SENTENCES["sentences"](ROOT / "lightning_gradwatch")}
    package = ROOT / "lightning_gradwatch"
    for path in package.rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(rf"\b({'|'.join(SENTENCES['ERRORS'])})\(", line) and not line.startswith("class "):
                place = f"{path.relative_to(package).as_posix()}:{number}"
                assert place in known or path.name == "errors.py", place


def triples(sentence):
    """Every three words in a row that are always the same in it."""
    for part in SAID[sentence].constant:
        words = part.split()
        yield from {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


@pytest.mark.parametrize("sentence", SAID)
def test_every_sentence_is_tested(sentence):
    """Some test names three words in a row that only this one has; of a wrong argument, the argument and the rule.

    Or it expects the note by its name.
    """
    [wrong] = re.findall(r"`(.+)` must be (.+?)(?:, got|<)", sentence) or [()]
    others = {triple for other in SAID if other != sentence for triple in triples(other)}
    own = [[*wrong]] if wrong else [[triple] for triple in triples(sentence) if triple not in others]
    wanted = own or [SAID[sentence].constant[:1]]
    by_name = re.compile(rf"(notes|Trouble)\.{SAID[sentence].name or '$'}\b")
    texts = [text for path, text in TESTS.items() if path.name != "test_notes.py"]
    assert any(by_name.search(text) or any(all(part in text for part in parts) for parts in wanted) for text in texts)


def test_the_docstring_lists_every_key_with_its_unit():
    for key, (unit, _) in SCALARS.items():
        assert re.search(rf"``{re.escape(key)}`` \({re.escape(unit)}\)", GradWatch.__doc__), key


def test_arguments_in_the_readme_exist():
    code = GradWatch.__init__.__code__
    known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    for page in PAGES:
        for call in re.findall(r"GradWatch\(([^)]*)\)", page.read_text()):
            assert all(name in known for name in re.findall(r"(\w+)=", call)), call
