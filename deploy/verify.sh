#!/bin/bash
# Checks the tree without running it. Arguments: build tags, then package patterns.
set -euo pipefail
cd "$(dirname "$0")/.."
tags=$1
shift

unformatted=$(gofmt -l proto pkg services)
if [ -n "$unformatted" ]; then
	echo "gofmt would change:" $unformatted >&2
	exit 1
fi

(cd proto && buf lint && buf breaking --against baseline.binpb)
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
(cd proto && buf generate -o "$made")
for f in $(cd proto && find . -name '*.pb.go'); do
	cmp -s "proto/$f" "$made/$f" || { echo "proto/$f is not what its .proto says: run 'make proto'" >&2; exit 1; }
done

go vet -tags "$tags" "$@"
staticcheck -tags "$(echo "$tags" | tr ' ' ',')" "$@"
for module in proto pkg services; do
	(cd "$module" && GOWORK=off go build -tags "$tags" ./...)
done
for script in deploy/*.sh deploy/room/*.sh .ci/run; do
	bash -n "$script"
	shellcheck -S warning "$script"
done
