"""The benchmarks are scripts that import their neighbours: their folder is on the path, as when one of them is run."""

import sys

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks" / "judgement"))
