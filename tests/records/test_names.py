import pytest

from lightning_gradwatch.records.names import module_of


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
