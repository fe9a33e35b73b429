"""How a command ends."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell gets."""

    FINE = 0
    ALARMS = 1
    UNUSABLE = 2
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it
    CUT_OFF = 141  # 128 + SIGPIPE: not 0, which would claim that nothing was found


EXIT_CODES = """\
exit codes:
  0    fine, nothing was found
  1    report: the recording holds findings that are still open; check: the network fails
  2    wrong usage, or an input that cannot be read (one sentence on stderr says which and why)
  130  interrupted (Ctrl-C)
  141  whoever read the output went away (head)
"""
