#!/bin/sh
# Builds the real Cluster API parts that the tests run against: Cluster API's core and clusterctl, the newest core beside it, and Talos'
# bootstrap and control-plane providers. Their CRDs and webhook manifests are copied beside the programs.
# usage: build-cluster-api.sh CACHE_DIR     (needs Go; about 8 min cold, nothing when the binaries are there)
# Everything comes from the Go module proxy as published modules; nothing lands in the source tree.
set -eu
cache=$1
out=$cache/cluster-api
mkdir -p "$out" "$cache/src"
# The checksum database lacks some of their versions; go.sum in the module below pins them all the same.
export GONOSUMDB='github.com/siderolabs/*' GOFLAGS=-mod=mod CGO_ENABLED=0

# program NAME MODULE VERSION PACKAGE [REPLACE...]: builds PACKAGE of MODULE, and copies what the module has under config/.
program() {
  name=$1 module=$2 version=$3 package=$4
  shift 4
  [ -x "$out/$name-$version" ] && return
  echo "building $name $version" >&2
  dir=$cache/src/$name-$version
  mkdir -p "$dir"
  cd "$dir"
  if [ ! -f go.sum ]; then
    printf 'module sidero.local/test-%s\ngo 1.26.0\n' "$name" > go.mod
    for replace in "$@"; do echo "replace $replace" >> go.mod; done
    go get -tool "$package@$version"
  fi
  go build -p 2 -trimpath -ldflags '-s -w' -o "$out/$name-$version.part" "$package"
  source=$(go list -m -f '{{.Dir}}' "$module")
  rm -rf "$out/$name-$version.config"
  cp -r "$source/config" "$out/$name-$version.config" 2>/dev/null || true
  # Core keeps the manifests of its kinds in a folder of its own in newer versions.
  [ -d "$source/core/config" ] && cp -r "$source/core/config" "$out/$name-$version.config"
  chmod -R u+w "$out/$name-$version.config" 2>/dev/null || true
  mv "$out/$name-$version.part" "$out/$name-$version"
}

cel='github.com/google/cel-go => github.com/google/cel-go v0.22.0'
core=sigs.k8s.io/cluster-api
program core $core v1.10.9 $core
program core $core v1.14.2 $core/core "$core/api => $core/api v1.14.2"
program clusterctl $core v1.10.9 $core/cmd/clusterctl
program clusterctl $core v1.14.2 $core/cmd/clusterctl "$core/api => $core/api v1.14.2"
program bootstrap-talos github.com/siderolabs/cluster-api-bootstrap-provider-talos v0.6.12 github.com/siderolabs/cluster-api-bootstrap-provider-talos "$cel"
program control-plane-talos github.com/siderolabs/cluster-api-control-plane-provider-talos v0.5.10 github.com/siderolabs/cluster-api-control-plane-provider-talos "$cel"
echo "$out"
