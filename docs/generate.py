"""Writes the pages of docs/reference that follow from the code: ``python docs/generate.py``.

``python docs/generate.py --check`` writes nothing and fails if a page is not what the code says.
"""

from __future__ import annotations

import html
import inspect
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from lightning_gradwatch.detect import pages as looked_for
from lightning_gradwatch.diagnose import evidence, panel, rules
from lightning_gradwatch.diagnose.evidence import EVIDENCE
from lightning_gradwatch.diagnose.shared import SHARED
from lightning_gradwatch.records.threshold import table
from lightning_gradwatch.remedies import remedies
from lightning_gradwatch.remedies.base import RemedyRule
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.treatment import Treatment
from lightning_gradwatch.sinks import SCALARS

REFERENCE = Path(__file__).parent / "reference"
README = Path(__file__).parents[1] / "README.md"
_TABLE = re.compile(r"(?<=<!-- rules -->\n).*?(?=<!-- /rules -->)", re.S)  # what the README holds between its marks
_HEAD = "<!-- Written by docs/generate.py: change the code, not this page. -->\n\n"


def pages() -> Iterator[tuple[Path, str]]:
    """Every generated page and its text."""
    yield REFERENCE / "scalars.md", _HEAD + _scalars()
    yield REFERENCE / "rules.md", _HEAD + _rules()
    yield REFERENCE / "thresholds.md", _HEAD + _thresholds()
    yield REFERENCE / "remedies.md", _HEAD + _remedies()
    yield REFERENCE / "errors.md", _HEAD + _errors()
    yield REFERENCE / "works-with.md", _HEAD + _works_with()
    for rule in rules():
        yield REFERENCE / "rules" / f"{rule.code}.md", _HEAD + rule.page()
    yield README, _TABLE.sub(lambda _: _table("docs/reference/rules/"), README.read_text(), count=1)


def _scalars() -> str:
    rows = "".join(f"| `{key}` | {_cell(unit)} | {_cell(meaning)} |\n" for key, (unit, meaning) in SCALARS.items())
    text = "On every measured step, whatever the depth of the network; NaN where a value is unknown."
    return f"# What is logged\n\n{text}\n\n| key | unit | meaning |\n|---|---|---|\n{rows}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _rules() -> str:
    needs = "".join(f"| {name} | {_cell(what)} |\n" for name, what in EVIDENCE.items())
    return (
        f"# Rules\n\nEach names one cause of a finding. Several may hold at once: their weights become shares that sum "
        f"to 1.\n{_table('rules/')}\n## Evidence\n\nA rule does not apply where what it needs is not known.\n\n"
        f"| name | what |\n|---|---|\n{needs}"
    )


def _thresholds() -> str:
    """What detectors look for, then the numbers of the rules."""
    text = (
        "# Thresholds\n\nEvery number that a finding or a cause is decided by, with where it comes from. Each is a "
        "constant at the top of its file; *own fits* are those of `benchmarks/judgement`. `gradwatch explain "
        "vanishing` and `gradwatch explain GW101` show them too.\n\n## What is looked for\n\n"
    )
    text += "\n\n".join(looked_for.sections())
    text += "\n\n## Rules\n\nA weight counts in decades beside those that were measured."
    text += "".join(
        f"\n\n### [{rule.code}](rules/{rule.code}.md) {rule.title}\n\n{table(rule.thresholds)}"
        for rule in rules()
        if rule.thresholds
    )
    shared = {**SHARED, "every rule": (*panel.THRESHOLDS, *evidence.THRESHOLDS)}
    text += "\n\n## Evidence that rules share"
    text += "".join(f"\n\n### {name}\n\n{table(numbers)}" for name, numbers in shared.items())
    text += '\n\n## SageMaker Debugger\'s rules\n\nAsked with `GradWatch(profile="sagemaker")`; see '
    text += "[from SageMaker Debugger](../how-to/from-sagemaker-debugger.md).\n\n"
    return text + "\n\n".join(looked_for.sagemaker()) + "\n"


def _table(folder: str) -> str:
    """All rules, one a line, with links to their pages."""
    rows = "".join(
        f"| [{r.code}]({folder}{r.code}.md) | {r.title} | {r.kind} | {', '.join(map(str, r.findings))} |\n"
        for r in rules()
    )
    return f"\n| code | title | cause | explains |\n|---|---|---|---|\n{rows}\n"


def _remedies() -> str:
    rows = "".join(
        f"| {_named(r)} | {r.title} | {', '.join(str(kind) for kind in r.cures)} | {_cell(r.source)} |\n"
        for r in remedies()
    )
    text = (
        "# Remedies\n\nThose with a link can be carried out: by `.apply(model)`, as a callback of a `Trainer`, and, "
        "where they fit, by the watch itself with `GradWatch(on_vanishing='heal')`. The others are advice, for your "
        "own hands.\n\n"
        f"| name | what | helps against | source |\n|---|---|---|---|\n{rows}"
    )
    return text + "".join(_treatment(r) for r in remedies() if isinstance(r, Treatment))


def _named(remedy: RemedyRule) -> str:
    return f"[{remedy.name}](#{remedy.name.lower()})" if isinstance(remedy, Treatment) else remedy.name


_MOMENTS = {
    Moment.SETUP: "before the optimizers are made",
    Moment.FIT: "once the optimizers are made, before their state is loaded",
    Moment.DATA: "right before the first batch",
}
_UNASKED = {
    True: "yes",
    False: "no: only where you name it",
}


def _treatment(one: Treatment) -> str:
    """The section of a remedy that can be carried out."""
    kind = type(one)
    explained = _explained(kind)
    signature = [p for p in inspect.signature(kind.__init__).parameters.values() if p.name != "self"]
    rows = "".join(f"| `{p.name}` | `{p.default!r}` | {_cell(explained.get(p.name, ''))} |\n" for p in signature)
    changes = "what the network computes, or which parameters it has" if kind.structural else "numbers only"
    return (
        f"\n## {kind.name}\n\n{_plain_words((inspect.getdoc(kind) or '').splitlines()[0])}\n\n"
        f"- **Applied in a fit**: {_MOMENTS[kind.moment]}.\n- **Changes**: {changes}.\n- **Costs**: {kind.cost}\n"
        f"- **Safe without being asked for**: {_UNASKED[kind.safe_unasked]}.\n\n"
        f"| argument | default | what |\n|---|---|---|\n{rows}\n"
        f"By hand:\n\n{_block(one.snippet(_network()))}"
    )


def _block(code: str) -> str:
    """A block of code, or of words where it lists modules."""
    try:
        compile(code, "snippet", "exec")
    except SyntaxError:
        return f"```text\n{code}\n```\n"
    return f"```python\n{code}\n```\n"


def _explained(kind: type) -> dict[str, str]:
    """What the docstring says of each argument; of those that it leaves to its base, what that says."""
    found: dict[str, str] = {}
    for base in reversed([one for one in kind.__mro__ if issubclass(one, Treatment)]):
        section = re.search(r"^Args:\n((?:    .*\n|\n)*)", (inspect.getdoc(base) or "") + "\n", re.M)
        for name, words in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.M):
            found[name] = _plain_words(" ".join(words.split()))
    return found


def _plain_words(text: str) -> str:
    """A docstring's words as Markdown has them."""
    return text.replace("``", "`")


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 2))


# The section of each kind of sentence: its title, and what to do.
_KINDS = {
    "WrongArgument": (
        "A wrong argument",
        "Raised at once, also as a `ValueError`. Pass what the sentence asks for; `error.argument`, `error.rule` and "
        "`error.got` hold its parts.",
    ),
    "MissingExtra": ("An optional package is missing", "Also an `ImportError`. Run the command that it ends with."),
    "UnreadableRecord": (
        "A recording that cannot be read",
        "Also a `ValueError`. The file is left as it is: name another one, or record it anew; what stands in the "
        "sentence says which part of it is damaged or foreign.",
    ),
    "note": (
        "What the watch says and goes on",
        "Never an error: said once on the console and kept in `report.notes`. The fit is not touched.",
    ),
}
# Who checks the arguments of the two that users call.
_CHECKERS = ("callbacks.settings.Settings", "callbacks.policy.Policy", "measure.schedule.Schedule")


def _errors() -> str:
    package = Path(__file__).parents[1] / "lightning_gradwatch"
    found = runpy.run_path(str(Path(__file__).with_name("sentences.py")))["sentences"](package)
    text = "# Errors and notes\n\nEvery sentence that the package answers with; `<...>` stands for what is at hand.\n"
    for kind, (title, advice) in _KINDS.items():
        last = "what to do" if kind == "note" else "raised by"
        rows = "".join(
            f"| {_cell(html.escape(one.text, quote=False))} | {_cell(one.advice or _where(one.where))} |\n"
            for one in found
            if one.kind == kind and one.constant
        )
        text += f"\n## {title}\n\n{advice}\n\n| sentence | {last} |\n|---|---|\n{rows}"
    return text


def _works_with() -> str:
    rows = runpy.run_path(str(Path(__file__).with_name("works_with.py")))["rows"]()
    text = (
        "# Does it work with ...?\n\nEvery row is a file of `tests/fits`, every entry a test there: real fits, on a "
        "CPU. *In italics*: too long for every change, run before a release. What is not in the list has not been "
        "tried; [versions](versions.md) tells with which Lightning and torch.\n\n| situation | tried |\n|---|---|\n"
    )
    for title, variants in sorted(rows.items()):
        tried = "; ".join(f"*{_plain(one)}*" if slow else _plain(one) for one, slow in variants.items())
        text += f"| {_plain(title)} | {tried or 'yes'} |\n"
    return text


def _plain(words: str) -> str:
    """Words that Markdown shows as they are."""
    return re.sub(r"([*_|<>`\[\]])", r"\\\1", words)


def _where(place: str) -> str:
    return "`GradWatch`, `LoopWatch`" if place in _CHECKERS else f"`{place}`"


def main() -> int:
    """Write the pages, or compare them; the exit code."""
    written = list(pages())
    stale = [path for path, text in written if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        print("".join(f"{path} is not what the code says: run python docs/generate.py\n" for path in stale), end="")
        return bool(stale)
    for path, text in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
