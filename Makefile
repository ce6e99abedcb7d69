# Luna. `make setup` and `make build` prepare a machine; `make demo` boots a
# room of virtual machines; `make test` runs everything that must hold.

SERVICES := inventory image-packer torrent-seeder dhcp dns bootscript switch-poller power
BINARIES := luna luna-head luna-agent luna-setup luna-demo $(addprefix luna-,$(SERVICES))
TAGS     := nosqlite disable_libutp
MODULES  := ./proto/... ./pkg/... ./services/...
TOOLS    := $(CURDIR)/.tools/bin
export PATH := $(TOOLS):$(PATH)
export GOFLAGS := -buildvcs=false
# STATIC is how programs are built; what is checked or tested as they are shares their compiled packages.
STATIC   := CGO_ENABLED=0 GOFLAGS='$(GOFLAGS) -trimpath'
GOBUILD  := $(STATIC) go build -tags '$(TAGS)' -ldflags '-s -w'

NODES ?= 2
TEST  ?=
SOAK  ?= 20
BENCH ?=

# MACHINES are tests of whole machines that take long, of make test-machines.
MACHINES = GrabAndPush|InstalledOnDisks|Drivers|NetworkManagers|Controllers|BringTheNetworkUp|DiscoveryBySwitchPort|SELinuxImage|Roots|MemoryOfNodes

.PHONY: all setup packages tools build loaders images proto rights verify test test-unit test-room test-heads test-machines soak demo bench-packages bench-inventory bench-net bench-pack bench-swarm clean

all: build

## setup: Debian packages and tools that building, testing and the demo need
setup: packages tools

packages:
	deploy/room/install-packages.sh

bench-packages:
	deploy/room/install-packages.sh bench

tools: $(TOOLS)/buf

$(TOOLS)/buf: deploy/tools/go.mod deploy/tools/go.sum
	mkdir -p $(TOOLS)
	cd deploy/tools && GOWORK=off GOBIN=$(TOOLS) go install tool
	cd proto && GOWORK=off go build -o $(TOOLS)/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
	touch $@

## build: every binary into bin/, the loaders into deploy/loaders/
build: loaders
	mkdir -p bin
	$(GOBUILD) -o bin/ $(addprefix ./services/cmd/,$(BINARIES))
	ln -sf luna bin/lpower
	ln -sf luna bin/lchroot
	$(GOBUILD) -o bin/nats-server github.com/nats-io/nats-server/v2

loaders:
	mkdir -p deploy/loaders
	@test -f /usr/lib/ipxe/undionly.kpxe || { echo "the package ipxe is missing: run 'make setup'" >&2; exit 1; }
	cp -u /usr/lib/ipxe/undionly.kpxe /usr/lib/ipxe/ipxe.efi /usr/lib/ipxe/snponly.efi /usr/lib/ipxe/ipxe.lkrn deploy/loaders/

## images: one container image a service, FROM scratch
images: build
	deploy/images.sh $(SERVICES)

## proto: generated code of the messages, and the baseline that changes are compared with
proto: tools
	cd proto && buf generate && buf build -o baseline.binpb

## rights: the server's rights from pkg/bus/rights.go
rights:
	go run ./services/cmd/luna-setup rights > deploy/nats/rights.conf

## verify: everything that can be checked without running it
verify: tools
	$(STATIC) deploy/verify.sh '$(TAGS)' $(MODULES)

## test: everything that must hold; TEST='-run Name' chooses
test: setup verify build test-unit test-room

# Three are tested as they are built, since the race detector makes them slow: the command line, whose
# sessions start it hundreds of times, initrds, for which whole images are read, and releases, for which
# many trees are packed; of these RACED are tested with it as well.
AS_BUILT = /services/luna|/services/image-packer/internal/initrd|/pkg/release
RACED    = TreeSurvives|ImageIsTheTree|UnpackTwice

test-unit: packages
	LUNA_TEST_IMAGE=$$(deploy/room/make-image.sh)/root && export LUNA_TEST_IMAGE && \
	LUNA_TEST_PHYSICAL=$$(LUNA_ROOM_KERNEL=linux-image-amd64 deploy/room/make-image.sh)/root && export LUNA_TEST_PHYSICAL && \
	go test -vet=off -race -tags '$(TAGS)' -timeout 15m -p 4 -parallel 6 -skip '$(MACHINES)' $(TEST) $$(go list -tags '$(TAGS)' $(MODULES) | grep -v /services/integration | grep -vE '($(AS_BUILT))$$') && \
	go test -vet=off -race -tags '$(TAGS)' -timeout 15m -run '$(RACED)' $(TEST) ./pkg/release && \
	$(STATIC) go test -vet=off -tags '$(TAGS)' -timeout 15m $(TEST) $$(go list -tags '$(TAGS)' $(MODULES) | grep -E '($(AS_BUILT))$$')

test-room: tools build bench-packages
	go test -vet=off -race -tags '$(TAGS)' -timeout 60m -p 2 -parallel 4 -count 1 -skip 'AnyHead|$(MACHINES)' $(TEST) ./services/integration/...

## test-heads: three heads, of which one is switched off at a time
test-heads: build
	go test -race -tags '$(TAGS)' -timeout 40m -count 1 -v -run AnyHead ./services/integration

## test-machines: disks, roots, memory, drivers, network managers, controllers, switch ports, SELinux, grab and push of whole machines, over an hour on two cores
test-machines: build
	go test -tags '$(TAGS)' -timeout 3h -count 1 -v -p 1 -run '$(MACHINES)' ./services/agent/internal/netfile ./services/integration

## soak: the tests of random kills and damage, longer; LUNA_SEED repeats one
soak: test-heads
	LUNA_SOAK=$(SOAK) go test -tags '$(TAGS)' -timeout 3h -p 1 -count 1 -v -run 'Damaged|Killed' ./pkg/projection ./services/integration

## demo: a room with a head and NODES machines that boot their image
demo: packages build
	bin/luna-demo --nodes $(NODES)

## bench-inventory: what administrators and nodes wait for, with 100, 1,000 and 10,000 nodes; BENCH='-nodes 100' chooses
bench-inventory: packages build
	go run -tags '$(TAGS)' ./services/cmd/luna-bench inventory $(BENCH)

## bench-net: DHCP exchanges, DNS answers and boot scripts a second, beside Kea, BIND and nginx; BENCH='-only DNS' chooses
bench-net: bench-packages build
	go run -tags '$(TAGS)' ./services/cmd/luna-bench net $(BENCH)

## bench-pack: packing and unpacking beside tar, pigz, zstd, mksquashfs and mkfs.erofs; BENCH='-size 100' chooses
bench-pack: packages
	go build -tags '$(TAGS)' -o bin/luna-bench ./services/cmd/luna-bench
	bin/luna-bench pack $(BENCH)

## bench-swarm: a payload to 1, 8, 24 and 72 nodes, beside anacrolix, libtorrent, aria2, nginx and udpcast, hours; BENCH='-nodes 8 -repeats 1' chooses
bench-swarm: bench-packages
	go run -tags '$(TAGS)' ./services/cmd/luna-bench swarm $(BENCH)

clean:
	rm -rf bin deploy/loaders .tools
