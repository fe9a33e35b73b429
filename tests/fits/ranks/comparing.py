"""Compares what several ranks and one process tell of the same fit."""

import math

# A slice of a tensor knows nothing of the largest element of the whole.
UNKNOWN_IN_SLICES = ("max", "fan")


def differences(left, right, rel=0.0, leave_out=(), path=""):
    """Where two JSON values differ by more than rounding: sentences.

    Example:
        >>> differences({"a": [1.0]}, {"a": [1.1]}, rel=1e-3)
        ['/a[0]: 1.0 against 1.1']
    """
    if isinstance(left, dict) and isinstance(right, dict):
        keys = [key for key in sorted(left.keys() | right.keys()) if key not in leave_out]
        pairs = [(left.get(key), right.get(key), f"{path}/{key}") for key in keys]
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = [(one, other, f"{path}[{i}]") for i, (one, other) in enumerate(zip(left, right, strict=True))]
    else:
        near = _numbers(left, right) and math.isclose(left, right, rel_tol=rel, abs_tol=rel / 10)
        return [] if near or str(left) == str(right) else [f"{path}: {left} against {right}"]
    return [text for one, other, at in pairs for text in differences(one, other, rel, leave_out, at)]


def _numbers(*values):
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def verdicts(told):
    """What was found and done, without the numbers behind it."""
    findings = [(f["kind"], f["severity"], f["layers"], f["first_step"], f["last_step"]) for f in told["findings"]]
    causes = [[(cause["kind"], cause["code"]) for cause in f.get("causes", [])] for f in told["findings"]]
    events = [(event["action"], event["step"], event["old"], event["new"]) for event in told["events"]]
    return findings, causes, events, [frame["rates"] for frame in told["frames"]]
