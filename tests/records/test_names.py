import pytest

from lightning_gradwatch.records.names import layers_of, module_of


@pytest.mark.parametrize(
    ("parameter", "module"),
    [
        ("net.0.weight", "net.0"),
        ("net.0.parametrizations.weight.original1", "net.0"),
        ("net.0.parametrizations.weight.0.a", "net.0"),
        ("scale", ""),
        ("parametrizations", ""),
    ],
)
def test_module_of(parameter, module):
    assert module_of(parameter) == module


def test_layers_of():
    names = ("net.1.parametrizations.weight.original0", "net.1.bias", "scale", "net.0.weight")
    assert layers_of(names) == ("net.1", "scale", "net.0")
