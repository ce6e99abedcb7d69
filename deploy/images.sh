#!/bin/bash
# Builds the container images luna/<service>, luna/setup and luna/nats from bin/.
# Arguments: the services.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# image NAME PROGRAM builds luna/NAME of what lies in $work/NAME, with the program.
image() {
	mkdir -p "$work/$1/usr/bin"
	cp "$2" "$work/$1/usr/bin/luna"
	docker build -q -f deploy/Dockerfile -t "luna/$1" "$work/$1" >/dev/null
	rm -rf "${work:?}/$1"
}

install -D bin/luna-agent "$work/image-packer/usr/share/luna/luna-agent"
mkdir -p "$work/bootscript/usr/share/luna"
cp -r deploy/loaders "$work/bootscript/usr/share/luna/loaders"
mkdir -p "$work/nats/etc/nats"
cp deploy/nats/nats.conf deploy/nats/rights.conf "$work/nats/etc/nats/"

for service in "$@" setup; do
	image "$service" "bin/luna-$service"
done
image nats bin/nats-server
