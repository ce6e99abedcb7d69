#!/bin/bash
# Builds the container images luna/<service>, luna/setup and luna/nats.
# Arguments: the services.
set -euo pipefail
cd "$(dirname "$0")/.."
for service in "$@" setup; do
	docker build -q -f deploy/Dockerfile --build-arg "SERVICE=$service" -t "luna/$service" . >/dev/null
done
docker build -q -f deploy/nats.Dockerfile -t luna/nats . >/dev/null
