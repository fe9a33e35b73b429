"""Print the Nth ```bash block of README.md, so that what CI runs and what README says are one text.

Usage: python .ci/readme_command.py N
"""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def commands(text):
    """The texts of all ```bash blocks, in order."""
    return [block.strip() for block in re.findall(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)]


if __name__ == "__main__":
    print(commands(README.read_text(encoding="utf-8"))[int(sys.argv[1]) - 1])
