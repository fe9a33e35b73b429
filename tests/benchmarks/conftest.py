"""The benchmarks are scripts that import their neighbours: their folder is on the path, as when one of them is run."""

import sys

from tests.conftest import ROOT

FOLDER = ROOT / "benchmarks" / "judgement"
sys.path.insert(0, str(FOLDER))
collect_ignore_glob = [] if FOLDER.exists() else ["*"]  # a source distribution holds the tests without the benchmarks
