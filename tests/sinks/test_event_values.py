import math

import numpy as np
import pytest

from lightning_gradwatch.sinks import event_values


def summary(value):
    """The value as its bytes say."""
    kind = event_values.protos("summary").Summary
    return kind.FromString(kind(value=[value]).SerializeToString()).value[0]


@pytest.mark.parametrize("value", [0.25, math.inf, -math.inf], ids=str)
def test_a_number_is_a_point_of_a_curve(value):
    made = summary(event_values.number("a/b", value))
    assert (made.tag, made.simple_value, made.HasField("metadata")) == ("a/b", value, False)


def test_a_number_beyond_float32_is_infinite():
    assert summary(event_values.number("a", 1e300)).simple_value == math.inf


def test_a_matrix_is_two_bytes_a_value_row_by_row():
    values = np.array([[1.0, 2.0, 3.0], [-math.inf, math.nan, 0.5]], np.float16)
    made = summary(event_values.matrix("a", values, b"{}"))
    assert [dim.size for dim in made.tensor.tensor_shape.dim] == [2, 3]
    assert made.tensor.dtype == 19  # DT_HALF
    assert made.tensor.tensor_content == values.astype("<f2").tobytes()
    assert (made.metadata.plugin_data.plugin_name, made.metadata.plugin_data.content) == ("gradwatch", b"{}")
    assert made.metadata.data_class == 2  # tensor: without it the series is invisible


def test_a_text_is_one_string_and_metadata_may_stay_out():
    made = summary(event_values.text("a", "gr\u00fcn", None))
    assert list(made.tensor.string_val) == ["gr\u00fcn".encode()]
    assert not made.HasField("metadata")


@pytest.mark.parametrize("package", ["torch.utils.tensorboard", "tensorboardX"])
def test_the_values_go_to_the_file_writer_as_its_own_class_and_one_event(package):
    if package == "tensorboardX":
        pytest.importorskip(package)
    taken = []

    class FileWriter:
        def add_summary(self, made, step):
            taken.append((type(made).__module__, made.SerializeToString(), step))

    writer = type(
        "SummaryWriter", (), {"__module__": f"{package}.writer", "_get_file_writer": lambda _: FileWriter()}
    )()
    values = [event_values.number("a", 1.0), event_values.text("b", "x", b"{}")]
    event_values.add(writer, values, 7)
    home = "tensorboardX" if package == "tensorboardX" else "tensorboard"
    expected = event_values.protos("summary").Summary(value=values).SerializeToString()
    ((module, data, step),) = taken
    assert (module.partition(".")[0], step) == (home, 7)
    assert event_values.protos("summary").Summary.FromString(data).SerializeToString() == expected
