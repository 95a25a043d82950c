#!/usr/bin/env bash
# The rules of the house that a compiler does not check (ARCHITECTURE.md, "The house").
set -u
cd "$(dirname "$0")/../.."
failed=0

holds() { # sentence, output that must be empty
  if [ -n "$2" ]; then
    printf 'BROKEN  %s\n%s\n' "$1" "$2"
    failed=$((failed + 1))
  else
    printf 'holds   %s\n' "$1"
  fi
}

holds "no source folder at the top but the six rooms" \
  "$(git ls-files '*.c' '*.h' '*.py' '*.lua' '*.sh' | grep '/' | cut -d/ -f1 | sort -u | grep -vxE 'proto|broker|runner|worker-shim|ops|tests')"
holds "proto includes nothing above it" \
  "$(git grep -nE '#include "(\.\./|broker|runner|worker)' -- proto)"
holds "base includes neither wire nor state" \
  "$(git grep -nE '#include "(wire|state)/' -- proto/base)"
holds "wire includes no state and no socket" \
  "$(git grep -nE '#include "(state/|base/(sock|ws|timer))|<(uv|zmq|hiredis)' -- proto/wire)"
holds "runner and worker never see the store" \
  "$(git grep -nE '#include "state/' -- runner worker-shim)"
for room in broker runner worker-shim; do
  others=$(git ls-files 'broker/*.h' 'runner/*.h' 'worker-shim/*.h' | grep -v "^$room/" | sed 's|.*/||' | sort -u)
  own=$(git ls-files "$room/*.h" | sed 's|.*/||' | sort -u)
  foreign=$(comm -23 <(echo "$others") <(echo "$own") | paste -sd'|')
  holds "$room includes no header of the other rooms" "$(git grep -nE "#include \"($foreign)\"" -- "$room")"
done
holds "memory comes through base/mem.h" \
  "$(git grep -nE '\b(malloc|calloc|realloc|strdup|strndup)\(' -- proto broker runner worker-shim ops | grep -v 'proto/base/mem.c')"
holds "no wall clock decides: the broker reads none, the runner for records, stamps and files alone" \
  "$(git grep -nE 'rz_wall_us|CLOCK_REALTIME|gettimeofday|\btime\(' -- 'broker/*.c' 'runner/*.c' | grep -vE '^runner/(fabric|run_ask|run_worker)\.c:')"
holds "no test waits by sleeping" \
  "$(git grep -nE '\b(usleep|nanosleep|sleep)\(' -- 'tests/*.c')"
holds "nothing promises instead of doing" \
  "$(git grep -nE '\b(TODO|FIXME|XXX|HACK)\b' -- . ':!tests/static')"
holds "no source file is longer than 700 lines" \
  "$(git ls-files '*.c' '*.h' | xargs wc -l | awk '$2 != "total" && $1 > 700')"
exit "$failed"
