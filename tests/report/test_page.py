from html.parser import HTMLParser

from lightning_gradwatch.records import Severity
from lightning_gradwatch.report import Report
from lightning_gradwatch.report.page import page
from lightning_gradwatch.report.verdict import NOTHING
from tests.report.samples import DECAY, HOSTILE, frame, ledger, sick, vanishing

TAGS = "html head meta title style body h1 h2 p strong section ul ol li table thead tbody tr th td"


class Reader(HTMLParser):
    """Collects tags, attributes and words, and checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = set(), set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_empty_report_is_a_page_with_one_sentence():
    reader = Reader(page(Report()))
    assert NOTHING in reader.words
    assert not reader.open


def test_everything_is_told():
    words = " ".join(Reader(page(sick(events=(DECAY,), notes=("compiled",)))).words)
    for part in ("GradWatch report of Net", "VANISHING gradient (critical)", "71 % activation", "net.0", "compiled"):
        assert part in words
    assert "What follows from it" in words
    assert "stalled: weights change by 1.0e-09" in words


def test_hostile_fit_brings_no_markup():
    report = Report(
        name=HOSTILE,
        frames=(frame(0, ledger([HOSTILE, '" onload="x', "c"])),),
        findings=(vanishing([HOSTILE], summary=HOSTILE, resolved=True),),
        notes=(HOSTILE,),
        config={HOSTILE: HOSTILE},
    )
    reader = Reader(page(report))
    assert reader.tags <= set(TAGS.split())
    assert reader.attributes <= {"lang", "charset", "class"}
    assert not reader.open
    assert any("</script>|`x`{0}%s[bold]*_~$a_b$<b>&amp;\\x1b[31m\\nline two" in words for words in reader.words)


def test_self_contained_and_small():
    text = page(sick(1000, 2))
    assert len(text) < 12_000
    assert "http" not in text
    assert "url(" not in text


def test_named_layers_are_coloured():
    text = page(sick(4, 1))
    assert text.count('<tr class="sick">') == 1
    assert '<section class="critical">' in text


def test_the_reason_for_silencing_is_repeated():
    report = Report(findings=(vanishing(["net.0"], severity=Severity.INFO, ignored="a <gate>"),))
    assert "<p>Ignored: a &lt;gate&gt;</p>" in report.to_html()
