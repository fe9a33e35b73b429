import re

from lightning_gradwatch.cli._exit import EXIT_CODES, ExitCode


def test_the_help_explains_every_code_and_no_other():
    told = {int(number) for number in re.findall(r"^ +(\d+) ", EXIT_CODES, re.M)}
    assert told == {int(code) for code in ExitCode}


def test_codes_that_scripts_rely_on():
    assert (ExitCode.FINE, ExitCode.ALARMS, ExitCode.UNUSABLE) == (0, 1, 2)
