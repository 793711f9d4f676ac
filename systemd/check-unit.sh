#!/bin/sh
# Holds the unit against systemd-analyze: no complaint, and an exposure of at most 1.5 (R23).
# Usage: check-unit.sh RENDERED_UNIT. Exit 77 (skipped) where systemd-analyze is missing or too old.
set -eu

unit=$1
limit=15 # tenths
export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_PAGER=

if ! command -v systemd-analyze >/dev/null; then
    echo "skipped: systemd-analyze is not installed"
    exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The daemon is not installed where this runs; which program is started makes no difference here.
sed 's,^ExecStart=.*,ExecStart=/bin/true,' "$unit" >"$scratch/ratsd.service"

if ! systemd-analyze --help | grep -q -- --offline; then
    echo "skipped: this systemd-analyze knows no --offline"
    exit 77
fi
if ! systemd-analyze verify --man=no "$scratch/ratsd.service" >"$scratch/verify" 2>&1 ||
    [ -s "$scratch/verify" ]; then
    echo "systemd-analyze verify says:"
    cat "$scratch/verify"
    exit 1
fi
systemd-analyze security --offline=true "$scratch/ratsd.service" >"$scratch/security" 2>&1 || true
exposure=$(sed -n 's/.*Overall exposure level for ratsd.service: \([0-9]*\)\.\([0-9]\).*/\1\2/p' \
    "$scratch/security")
if [ -z "$exposure" ]; then
    echo "systemd-analyze security gave no figure:"
    cat "$scratch/security"
    exit 1
fi
echo "exposure ${exposure%?}.${exposure#"${exposure%?}"}, allowed 1.5"
[ "$exposure" -le "$limit" ]
