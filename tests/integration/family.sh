#!/bin/sh
# family.sh FILE - the program of a worker that leaves a process behind: forked twice, in a session of its own, deaf to TERM.
# Its pid is written to FILE. Then it waits for a word, answers "heard" and ends; the other stays.
setsid sh -c 'trap "" TERM; (exec sleep 1000 >/dev/null 2>&1 </dev/null) & echo $! >"$1.new"; mv "$1.new" "$1"' - "$1" &
read -r run
read -r word
echo heard
