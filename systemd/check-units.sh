#!/bin/sh
# Holds the units against systemd-analyze: no complaint, and for services of the system an exposure of
# at most 1.5 (R23). Usage: check-units.sh system|user RENDERED_UNIT...
# Exit 77 (skipped) where systemd-analyze is missing or too old.
set -eu

scope=$1
shift
limit=15 # tenths
export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_PAGER=

if ! command -v systemd-analyze >/dev/null; then
    echo "skipped: systemd-analyze is not installed"
    exit 77
fi
if ! systemd-analyze --help | grep -q -- --offline; then
    echo "skipped: this systemd-analyze knows no --offline"
    exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The daemon is not installed where this runs; which program is started makes no difference here.
for unit; do
    sed 's,^ExecStart=.*,ExecStart=/bin/true,' "$unit" >"$scratch/${unit##*/}"
done

# A user's manager keeps things in the user's directories; here it must not look for any.
export HOME="$scratch/home" XDG_RUNTIME_DIR="$scratch/run"
mkdir -p "$HOME" "$XDG_RUNTIME_DIR"
if ! systemd-analyze verify "--$scope" --man=no "$scratch"/ratsd* >"$scratch/verify" 2>&1 ||
    [ -s "$scratch/verify" ]; then
    echo "systemd-analyze verify says:"
    cat "$scratch/verify"
    exit 1
fi
[ "$scope" = system ] || exit 0

for unit in "$scratch"/*.service; do
    systemd-analyze security --offline=true "$unit" >"$scratch/security" 2>&1 || true
    exposure=$(sed -n 's/.*Overall exposure level for .*: \([0-9]*\)\.\([0-9]\).*/\1\2/p' \
        "$scratch/security")
    if [ -z "$exposure" ]; then
        echo "systemd-analyze security gave no figure:"
        cat "$scratch/security"
        exit 1
    fi
    echo "${unit##*/}: exposure ${exposure%?}.${exposure#"${exposure%?}"}, allowed 1.5"
    [ "$exposure" -le "$limit" ]
done
