"""``gradwatch explain``: a rule's page, or the list of rules."""

import pytest

from lightning_gradwatch.cli.main import main
from lightning_gradwatch.detect.pages import kind_page
from lightning_gradwatch.diagnose import rules
from lightning_gradwatch.records import Kind

RULES = {rule.code: rule for rule in rules()}


def test_without_a_code_lists_every_rule(capsys):
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == sorted(RULES)
    assert all(RULES[line.split()[0]].title in line for line in lines[:-1])
    assert lines[-1] == f"and the kinds of finding: {', '.join(Kind)}"


@pytest.mark.parametrize("code", RULES)
@pytest.mark.parametrize("spelling", [str.upper, str.lower], ids=["upper", "lower"])
def test_shows_the_page(code, spelling, capsys):
    assert main(["explain", spelling(code)]) == 0
    assert capsys.readouterr().out.strip() == RULES[code].page().strip()


def test_unknown_code_says_which_there_are(capsys):
    assert main(["explain", "GW999"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    said = "`CODE` must be the code of a rule or a kind of finding, got 'GW999'"
    assert err == f"gradwatch: {said}. Available: {_quoted([*sorted(RULES), *(kind.value for kind in Kind)])}.\n"


@pytest.mark.parametrize("kind", Kind)
def test_shows_what_a_kind_is_and_its_numbers(kind, capsys):
    assert main(["explain", kind.value.upper()]) == 0
    assert capsys.readouterr().out.strip() == kind_page(kind).strip()


def test_a_rules_page_shows_its_numbers(capsys):
    main(["explain", "GW102"])
    assert "| threshold | value | unit | why |" in capsys.readouterr().out


def _quoted(codes):
    return ", ".join(map(repr, codes))
