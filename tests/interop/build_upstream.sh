#!/bin/sh
# Builds upstream's demo worker and prints the path of the binary.  Usage: build_upstream.sh [DIR]
#
# The crate bamboo-subagent, release 2026.6.16 (the protocol's baseline), with the lock file that it was released with.
# DIR (default: build/upstream) keeps the result: a second call prints the path at once.  Without optimisation and debug
# information it is built fastest, and an echo needs neither.  Exit code 77: it cannot be built here, and why.
set -eu

version=2026.6.16
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=${1:-$top/build/upstream}
binary=$dir/$version/bin/subagent-demo-worker

skip() {
    echo "SKIPPED: $1" >&2
    exit 77
}

if [ -x "$binary" ]; then
    echo "$binary"
    exit 0
fi
command -v cargo >/dev/null 2>&1 || skip "cargo is not installed, so upstream's worker cannot be built"

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
binary=$dir/$version/bin/subagent-demo-worker
exec 9>"$dir/lock"
flock 9   # two tests that start together build it once
if [ ! -x "$binary" ]; then
    log=$dir/build.log
    if ! CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_TARGET_DIR="$dir/target" CARGO_NET_RETRY=1 \
        cargo install --quiet --locked --debug --no-track --version "$version" --root "$dir/$version" \
        bamboo-subagent --bin subagent-demo-worker 9>&- >"$log" 2>&1
    then
        if grep -q -i -e 'failed to download' -e 'could not resolve host' -e "failed to query" -e 'failed to get' \
            -e 'download of' -e 'network' "$log"
        then
            skip "the crate registry cannot be reached: $(grep -m1 -i '^error' "$log")"
        fi
        cat "$log" >&2
        exit 1
    fi
    rm -rf "$dir/target"
fi
echo "$binary"
