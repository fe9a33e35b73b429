import pytest

from lightning_gradwatch.records import Forecast
from lightning_gradwatch.records.codec import decode, encode

INF = float("inf")
FORECASTS = {
    "with a spread": (Forecast(layer="a", decades=-3.0, batches=4, draws=(-1.0, -5.0, -2.0)), -2.0, (-5.0, -1.0)),
    "without": (Forecast(layer="a", decades=-3.0, batches=1), -3.0, None),
    "dead in some": (Forecast(layer="a", decades=-3.0, batches=1, draws=(-INF, -4.0, -3.0)), -4.0, (-INF, -3.0)),
}


@pytest.mark.parametrize(("forecast", "expected", "spread"), FORECASTS.values(), ids=FORECASTS)
def test_what_is_expected_and_how_far_chance_goes(forecast, expected, spread):
    assert forecast.expected == expected
    assert forecast.spread == spread
    assert decode(Forecast, encode(forecast)) == forecast
