#!/bin/sh
# Builds the stand-in for Talos (test/real/talos) on Talos' and SideroLink's own published modules.
# usage: build-talos.sh CACHE_DIR OUT      (needs Go; about 3 min cold)
# OUT is the program to write; its name tells the version of its sources. Beside it: the library's own server of SideroLink, which benchmarks run
# beside ours. Everything else comes from the Go module proxy.
set -eu
cache=$1 out=$2 machinery=v1.13.0 siderolink=v0.3.15
# WireGuard and gVisor's network stack in one process, as they fit to each other; ids of events; the kernel's log.
wireguard=v0.0.0-20250521234502-f333402bd9cb xid=v1.6.0 kmsg=v0.1.4
here=$(cd "$(dirname "$0")/../talos" && pwd)
dir=$cache/src/talos-stand-in-$machinery-siderolink-$siderolink
mkdir -p "$dir" "$(dirname "$out")"
# The checksum database lacks some of their versions; go.sum pins them all the same.
export GONOSUMDB='github.com/siderolabs/*' GOFLAGS=-mod=mod CGO_ENABLED=0
rm -f "$dir"/*.go
for file in "$here"/*.go.txt; do cp "$file" "$dir/$(basename "$file" .txt)"; done
cd "$dir"
if [ ! -f go.sum ]; then
  cat > go.mod <<REQUIRED
module sidero.local/test-talos
go 1.26.1
require (
	github.com/rs/xid $xid
	github.com/siderolabs/go-kmsg $kmsg
	github.com/siderolabs/siderolink $siderolink
	github.com/siderolabs/talos/pkg/machinery $machinery
	golang.zx2c4.com/wireguard $wireguard
)
REQUIRED
  go mod tidy
fi
server=$(dirname "$out")/siderolink-agent-$siderolink
if [ ! -f "$server" ]; then
  go build -p 2 -trimpath -ldflags '-s -w' -o "$server.part" github.com/siderolabs/siderolink/cmd/siderolink-agent
  mv "$server.part" "$server"
fi
echo "building the stand-in for Talos $machinery" >&2
go build -p 2 -trimpath -ldflags '-s -w' -o "$out.part" .
mv "$out.part" "$out"
