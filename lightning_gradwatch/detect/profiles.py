"""Sets of detectors to choose from: our own, and those that people know from elsewhere."""

from __future__ import annotations

from typing import Literal

Profile = Literal["gradwatch", "sagemaker"]

# Name -> the folder whose detectors are asked.
PROFILES: dict[Profile, str] = {
    "gradwatch": "lightning_gradwatch.detect",
    "sagemaker": "lightning_gradwatch.detect.sagemaker",
}
