from lightning_gradwatch.detect.sagemaker.symptoms import said
from lightning_gradwatch.records import Kind, Quantity


def test_a_text_is_a_symptom_that_names_its_rule():
    one = said("DeadRelu", Kind.DEAD_UNITS, "60 % are dead", ["a", "a", "b"], Quantity(name="x", value=1.0), clause="c")
    assert (one.id, one.summary, one.layers) == ("sagemaker:DeadRelu.c", "DeadRelu: 60 % are dead", ("a", "b"))
    assert (one.present, one.lingers, one.alone, one.severity) == (True, True, True, "warning")
    assert one.evidence[0].name == "x"


def test_no_text_is_its_absence():
    one = said("DeadRelu", Kind.DEAD_UNITS, "")
    assert (one.id, one.present, one.lingers) == ("sagemaker:DeadRelu", False, False)


def test_what_is_not_finite_is_critical():
    assert said("ExplodingTensor", Kind.NONFINITE, "the loss").severity == "critical"
