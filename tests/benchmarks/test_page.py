"""The page in docs says what the results say."""

import gather
from page import page


def test_the_page_names_fits_and_mistakes_of_each_half():
    names = {half: gather.cases(half, "mlp-*")[0].name for half in ("develop", "judge")}
    measurement = {"start": {}, "end": {}, "moved": {}, "losses": []}
    rows = {
        name: {
            **{"name": name, "half": half, "health": "sick", "family": "mlp", "kinds": ["vanishing"], "onset": 0},
            **{"causes": ["depth"], "gradwatch": [], "confirmed": True, "reason": "", "measurement": measurement},
            "peers": {"a peer": {"alarms": [[3, "vanishing"]], "cause": None}},
        }
        for half, name in names.items()
    }
    text = page({**rows, "no-longer-there-s0": {}, names["judge"] + "x": {"error": "It broke."}})
    assert "2 fits. The sick ones: 2 vanishing. By family: 2 mlp." in text
    for half, name in names.items():
        part = text.split(f"## {half.capitalize()} half")[1]
        assert "1 sick, 0 healthy, 0 mild fits." in part
        assert f"missed (1):\n\n- {name}" in part
    assert [cell.strip() for cell in text.split("| a peer")[1].split("\n")[0].split("|")][1:3] == ["100%", ""]
