import typing

from lightning_gradwatch.detect import detectors
from lightning_gradwatch.detect.profiles import PROFILES, Profile

SAGEMAKER = {
    "DeadRelu",
    "ExplodingTensor",
    "LossNotDecreasing",
    "PoorWeightInitialization",
    "SaturatedActivation",
    "VanishingGradient",
    "WeightUpdateRatio",
}


def names(profile):
    return {type(one).__name__ for one in detectors(profile)}


def test_every_word_has_a_folder():
    assert set(typing.get_args(Profile)) == set(PROFILES)


def test_sagemaker_holds_the_rules_by_their_names():
    assert names("sagemaker") == SAGEMAKER


def test_our_own_is_the_default_and_holds_none_of_them():
    assert names("gradwatch") == {type(one).__name__ for one in detectors()}
    assert {"Vanishing", "DeadUnits", "NonFinite", "Stalled"} <= names("gradwatch")
    assert not names("gradwatch") & SAGEMAKER
