#!/bin/sh
# Moves a running program, and checks that what both sides printed is one run: every sweep once, in order, begun at the
# source and ended at the destination. The program itself ends with an error if its memory is not what it wrote.
#
#   move-and-check.sh NAME URI SWEEPS
set -eu
name=$1 uri=$2 sweeps=$3
source=/srv/peregrine/source.txt destination=/srv/peregrine/destination.txt

# Waits up to 60 s for a command to succeed.
await() {
  waited=0
  until "$@" >/dev/null 2>&1; do
    waited=$((waited + 1))
    if [ "$waited" -gt 60 ]; then echo "job: waited in vain for: $*" >&2; exit 1; fi
    sleep 1
  done
}

await peregrine info "$name"
await peregrine doctor "$uri"
peregrine cont "$name"
await grep -q '^sweep 3$' "$source"
peregrine migrate "$name" "$uri"
# A run that is over before it has left would prove nothing.
if grep -q '^torture: pattern intact' "$source"; then echo "job: the program has ended at the source" >&2; exit 1; fi
await grep -q '^torture: pattern intact' "$destination"

# The sweeps of both sides, one after the other, are those of one run.
cat "$source" "$destination" | sed -n 's/^sweep //p' >/tmp/seen
seq 1 "$sweeps" >/tmp/expected
if ! diff /tmp/expected /tmp/seen >&2; then echo "job: the output is not that of one run" >&2; exit 1; fi
echo "job: moved; $(grep -c '^sweep' "$source") sweeps at the source and $(grep -c '^sweep' "$destination") at the destination, each once"
