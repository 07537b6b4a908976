#!/bin/sh
# The demonstration, on a machine that has nothing but a Node from 20 on: installs what is missing, then runs
# demo.ts with the Node that the workspace brings along.
set -eu
cd "$(dirname "$0")/.."
if ! cmp -s pnpm-lock.yaml node_modules/.pnpm/lock.yaml || [ ! -x node_modules/.bin/node ]; then
  npx -y pnpm@12 install --frozen-lockfile
fi
exec node_modules/.bin/node scripts/demo.ts "$@"
