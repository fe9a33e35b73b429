import dataclasses
import io
import json
import math
import warnings

import numpy as np
import pytest
from PIL import Image

from lightning_gradwatch.records import codec
from lightning_gradwatch.records.lines import Changes, Start, parse
from lightning_gradwatch.sinks.packed import pack, unpack
from lightning_gradwatch.sinks.scalars import SCALARS, scalars
from lightning_gradwatch.sinks.tensorboard import TensorBoardSink
from tests.sinks.samples import CONFIG, HOSTILE, anatomy, bare, event, finding, frame, ledger, segment

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what TensorBoard's own imports say is not ours
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter


@pytest.fixture(params=["torch", "tensorboardX"])
def writer(request, tmp_path):
    kind = SummaryWriter if request.param == "torch" else pytest.importorskip("tensorboardX").SummaryWriter
    writer = kind(str(tmp_path / "run"))
    yield writer
    writer.close()


@pytest.fixture
def sink(writer):
    return TensorBoardSink(writer, anatomy(), CONFIG)


@pytest.fixture
def read(tmp_path, sink):
    def reader():
        sink.close()
        if not isinstance(sink.writer, SummaryWriter):
            sink.writer.close()  # tensorboardX's flush does not wait for its queue
        everything = {"scalars": 0, "tensors": 0, "images": 0}
        return EventAccumulator(str(tmp_path / "run"), size_guidance=everything).Reload()

    return reader


def text(accumulator, tag="gradwatch/findings"):
    return [(event.step, event.tensor_proto.string_val[0].decode()) for event in accumulator.Tensors(tag)]


def test_the_curves_are_those_of_the_frame_at_its_step(sink, read):
    frames = [frame(0), frame(50, decades=-1.0), bare(100)]
    for made in frames:
        sink.write(made, [finding()])
    accumulator = read()
    assert set(accumulator.Tags()["scalars"]) == set(SCALARS)
    for key in SCALARS:
        points = [(point.step, point.value) for point in accumulator.Scalars(key)]
        assert [step for step, _ in points] == [0, 50, 100]
        expected = [scalars(made, [finding()])[key] for made in frames]
        assert [value for _, value in points] == pytest.approx(expected, nan_ok=True)


def test_the_matrix_comes_back_as_it_was_packed_for_our_plugin_only(sink, read):
    sink.write(frame(0), [])
    sink.write(frame(50, decades=-1.0), [])
    accumulator, packed = read(), pack(frame(50, decades=-1.0), anatomy(), CONFIG)
    events = accumulator.Tensors(packed.tag)
    assert [event.step for event in events] == [0, 50]
    matrix = np.frombuffer(events[1].tensor_proto.tensor_content, "<f2").reshape(packed.matrix.shape)
    np.testing.assert_array_equal(matrix, packed.matrix)
    metadata = accumulator.summary_metadata[packed.tag]
    assert (metadata.plugin_data.plugin_name, metadata.data_class) == ("gradwatch", 2)
    assert metadata.plugin_data.content == packed.metadata
    assert unpack(matrix, metadata.plugin_data.content, 50).ledgers[0].decades == pytest.approx(-2.5)


def test_five_hundred_layers_make_no_more_tags_than_four(sink, read):
    for step in range(3):
        sink.write(frame(step, layers=500), [])
    tags = read().Tags()
    assert len(tags["scalars"]) <= 13
    assert len(tags["tensors"]) == 2  # the start and the matrix


def test_a_thousand_layers_cost_eighteen_bytes_a_layer_and_step(tmp_path):
    def size():
        sink.close()
        return sum(file.stat().st_size for file in (tmp_path / "run").iterdir())

    sink = TensorBoardSink(SummaryWriter(str(tmp_path / "run")), anatomy(1000), CONFIG)
    made = frame(layers=1000)
    sink.write(made, [])
    first = size()
    for step in range(1, 6):
        sink.write(frame(step, ledgers=made.ledgers, parameters=()), [])
    assert 18_000 < (size() - first) / 5 < 20_000
    assert first < 600_000  # the anatomy and the layer table, once
    sink.writer.close()


def test_a_step_is_written_once(sink, read):
    sink.write(frame(3), [])
    sink.write(frame(3, decades=-2.0), [])
    assert [point.value for point in read().Scalars("gradwatch/decades_lost")] == [1.0]


def test_a_resumed_step_is_written_again(sink, read):
    for step in (3, 4, 3):
        sink.write(frame(step), [])
    assert [event.step for event in read().Tensors(pack(frame(), anatomy(), {}).tag)] == [3, 4, 3]


def test_the_head_is_written_once_with_anatomy_and_settings(sink, read):
    sink.announce(0, [], [], ["hello"])
    sink.write(frame(0), [])
    ((step, head),) = text(read(), "gradwatch/start")
    start = parse(head)
    assert step == 0
    assert isinstance(start, Start)
    assert (start.anatomy, start.config) == (anatomy(), CONFIG)


def test_changes_are_data_and_words(sink, read):
    sink.announce(3, [finding()], [event()], ["a note"])
    accumulator = read()
    ((step, data),) = text(accumulator)
    assert (step, list(json.loads(data))) == (3, ["step", "findings", "events", "notes"])
    changes = codec.decode(Changes, json.loads(data))
    assert changes == Changes(step=3, findings=(finding(),), events=(event(),), notes=("a note",))
    ((step, words),) = text(accumulator, "gradwatch/findings_text/text_summary")
    assert step == 3
    assert "vanishing" in words
    assert "net.0" in words
    assert accumulator.summary_metadata["gradwatch/findings"].data_class == 2


def test_the_last_event_of_a_step_holds_all_that_was_announced_there(sink, read):
    sink.announce(3, [finding(), finding(id="other")], [], ["first"])
    sink.announce(3, [finding(resolved=True)], [event()], ["second"])
    sink.announce(4, [], [], ["another"])
    events = text(read())
    assert codec.decode(Changes, json.loads(events[-2][1])) == Changes(
        step=3,
        findings=(finding(resolved=True), finding(id="other")),
        events=(event(),),
        notes=("first", "second"),
    )
    assert codec.decode(Changes, json.loads(events[-1][1])) == Changes(step=4, notes=("another",))


def test_an_announcement_of_nothing_writes_nothing(sink, read):
    sink.announce(3, [], [], [])
    assert read().Tags()["tensors"] == []


def test_an_announcement_is_flushed_after_its_last_word(writer, sink, monkeypatch):
    calls = []
    for name in ("add_text", "flush"):
        monkeypatch.setattr(writer, name, lambda *_, name=name: calls.append(name))
    sink.announce(3, [finding()], [], [])
    assert calls == ["add_text", "flush"]  # else it is seen up to two minutes later


def test_names_are_never_markup(sink, read):
    sink.announce(3, [finding(summary=HOSTILE, layers=(HOSTILE,))], [], [HOSTILE])
    ((_, words),) = text(read(), "gradwatch/findings_text/text_summary")
    assert "<script" not in words
    assert "](" not in words
    assert "://" not in words


def test_the_picture_is_the_array(sink, read):
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    sink.picture(9, image)
    (shown,) = read().Images("gradwatch/gradient_flow")
    assert shown.step == 9
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(shown.encoded_image_string))), image)


def test_one_event_file_and_the_writer_stays_open(writer, sink, read, tmp_path):
    sink.write(frame(0), [])
    sink.close()
    writer.add_scalar("mine", 1.0, 0)
    writer.flush()
    assert "mine" in read().Tags()["scalars"]
    assert len(list((tmp_path / "run").iterdir())) == 1


def test_a_graph_that_is_another_one_on_every_step_does_not_flood(sink, read):
    for step in range(40):
        sink.write(frame(step, layers=2 + step), [])
    tags = read().Tags()
    assert sum(tag.startswith("gradwatch/stats/") for tag in tags["tensors"]) == 16
    assert len(read().Scalars("gradwatch/decades_lost")) == 40


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(bare(), id="nothing measured"),
        pytest.param(frame(ledgers=(), parameters=()), id="empty"),
        pytest.param(frame(loss=math.nan, skipped=True), id="skipped"),
        pytest.param(frame(loss=1e300, rate_scale=1e-300), id="beyond float32"),
        pytest.param(
            frame(ledgers=(ledger(decades=-math.inf), ledger(decades=math.nan))),
            id="infinities",
        ),
        pytest.param(frame(ledgers=(ledger(2),), parameters=()), id="no parameters"),
    ],
)
def test_odd_frames_are_written_without_a_warning(sink, read, made):
    sink.write(made, [])
    assert len(read().Tags()["scalars"]) == len(SCALARS)


def test_hostile_layer_names_travel_as_data(sink, read):
    odd = dataclasses.replace(ledger(), segments=(segment(HOSTILE, -1.0),), target_layer=HOSTILE)
    sink.write(frame(ledgers=(odd,)), [])
    (tag,) = [tag for tag in read().Tags()["tensors"] if tag.startswith("gradwatch/stats/")]
    table = json.loads(read().summary_metadata[tag].plugin_data.content)
    assert [layer["name"] for layer in table["layers"]] == [HOSTILE]
