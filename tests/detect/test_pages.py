import pytest

from lightning_gradwatch.detect import detectors, pages
from lightning_gradwatch.detect.judge import CALM
from lightning_gradwatch.records import Kind


@pytest.mark.parametrize("kind", Kind)
def test_a_kinds_page_tells_its_detectors_with_their_numbers(kind):
    page = pages.kind_page(kind)
    own = [one for one in detectors() if one.kind is kind]
    assert own
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        *(f"## {type(one).__name__}" for one in own),
        "## Every kind",
    ]
    for one in own:
        assert type(one).__doc__.splitlines()[0] in page
        assert all(f"| {number.name} | {number.value:.4g} |" in page for number in one.thresholds)
    assert f"| resolved after | {CALM} |" in page


def test_it_says_how_soon_a_finding_opens():
    assert "Opens after 3 measured steps that prove it." in pages.kind_page(Kind.VANISHING)
    assert "Opens on the first measured step that shows it." in pages.kind_page(Kind.NONFINITE)


def test_all_of_them():
    titles = [section.splitlines()[0] for section in pages.sections()]
    assert titles == [*(f"### {type(one).__name__} ({one.kind})" for one in detectors()), "### Every kind"]
    assert [one.splitlines()[0] for one in pages.sagemaker()] == [
        f"### {type(one).__name__}" for one in detectors("sagemaker")
    ]
