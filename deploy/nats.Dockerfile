# The NATS server, built from its Go module by `make build`.
FROM scratch
COPY bin/nats-server /usr/bin/nats-server
COPY deploy/nats/ /etc/nats/
ENTRYPOINT ["/usr/bin/nats-server"]
