"""``gradwatch explain``: a rule's page, or the list of rules."""

import pytest

from lightning_gradwatch.cli.main import main
from lightning_gradwatch.diagnose import rules

RULES = {rule.code: rule for rule in rules()}


def test_without_a_code_lists_every_rule(capsys):
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(RULES)
    assert all(RULES[line.split()[0]].title in line for line in lines)


@pytest.mark.parametrize("code", RULES)
@pytest.mark.parametrize("spelling", [str.upper, str.lower], ids=["upper", "lower"])
def test_shows_the_page(code, spelling, capsys):
    assert main(["explain", spelling(code)]) == 0
    assert capsys.readouterr().out.strip() == RULES[code].page().strip()


def test_unknown_code_says_which_there_are(capsys):
    assert main(["explain", "GW999"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"gradwatch: `CODE` must be the code of a rule, got 'GW999'. Available: {_quoted(sorted(RULES))}.\n"


def _quoted(codes):
    return ", ".join(map(repr, codes))
