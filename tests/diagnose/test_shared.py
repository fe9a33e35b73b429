from lightning_gradwatch.diagnose import course
from lightning_gradwatch.diagnose.shared import SHARED


def test_numbers_stand_where_the_evidence_is_made():
    assert SHARED["course"] is course.THRESHOLDS
    assert {one.name: one.value for one in SHARED["course"]}["bold step"] == course.BOLD
