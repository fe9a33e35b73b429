"""Finding + facts -> causes: one class per rule, found by scanning this folder.  Plain Python, no torch.

A rule has a code, a title, the kind of cause it names and one ``check`` whose parameter names say what evidence it
needs.  A new rule is a new class in a file of this folder.
"""

from lightning_gradwatch.diagnose.base import Answer, Rule
from lightning_gradwatch.diagnose.ignoring import Ignoring
from lightning_gradwatch.diagnose.panel import explain, rule, rules

__all__ = ["Answer", "Ignoring", "Rule", "explain", "rule", "rules"]
