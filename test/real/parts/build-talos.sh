#!/bin/sh
# Builds the stand-in for Talos (test/real/talos) on Talos' own published modules.
# usage: build-talos.sh CACHE_DIR OUT      (needs Go; about 2 min cold)
# OUT is the program to write; its name tells the version of its sources. Everything else comes from the Go module proxy.
set -eu
cache=$1 out=$2 machinery=v1.13.0
here=$(cd "$(dirname "$0")/../talos" && pwd)
dir=$cache/src/talos-stand-in-$machinery
mkdir -p "$dir" "$(dirname "$out")"
# The checksum database lacks some of their versions; go.sum pins them all the same.
export GONOSUMDB='github.com/siderolabs/*' GOFLAGS=-mod=mod CGO_ENABLED=0
rm -f "$dir"/*.go
for file in "$here"/*.go.txt; do cp "$file" "$dir/$(basename "$file" .txt)"; done
cd "$dir"
if [ ! -f go.sum ]; then
  printf 'module sidero.local/test-talos\ngo 1.26.1\nrequire github.com/siderolabs/talos/pkg/machinery %s\n' "$machinery" > go.mod
  go mod tidy
fi
echo "building the stand-in for Talos $machinery" >&2
go build -p 2 -trimpath -ldflags '-s -w' -o "$out.part" .
mv "$out.part" "$out"
