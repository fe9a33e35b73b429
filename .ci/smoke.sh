#!/usr/bin/env bash
# smoke.sh BIN PLACE [BLOCKED]: what is installed in the environment BIN works in the new folder PLACE, far from any checkout:
# the demo, the report of what it recorded, and a user's own script; with the module BLOCKED as if it were not installed.
set -euo pipefail
bin=$1 place=$2 blocked=${3:-}
mkdir -p "$place/block"
cp "$(dirname "${BASH_SOURCE[0]}")/smoke_user.py" "$place"
cd "$place"

export PYTHONPATH=$place/block # Python runs the sitecustomize.py that it finds there before anything else
printf 'import sys\n\nfor name in "%s".split():\n    sys.modules[name] = None\n' "$blocked" >block/sitecustomize.py
if [[ -n $blocked ]] && "$bin/python" -c "import $blocked" 2>/dev/null; then
    echo "$blocked should be blocked and is not"
    exit 1
fi

"$bin/python" -c "import lightning_gradwatch as g, sys; assert g.__file__.startswith(sys.prefix), g.__file__"
"$bin/gradwatch" demo --steps 20 </dev/null
[[ -n $(find gradwatch_demo -name 'events.out.tfevents.*') && -n $(find gradwatch_demo -name '*.png') ]] || {
    echo "the demo left no event file or no picture:"
    find gradwatch_demo
    exit 1
}
"$bin/python" smoke_user.py </dev/null
