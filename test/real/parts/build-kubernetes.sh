#!/bin/sh
# Builds the real Kubernetes parts that the tests run against: kube-apiserver, kubectl, etcd, and client-go's leader election.
# usage: build-kubernetes.sh CACHE_DIR      (needs Go; 8-12 min cold, nothing when the binaries are there)
# Everything comes from the Go module proxy as published modules; nothing lands in the source tree.
set -eu
cache=$1
version=1.35.4 etcd=3.6.5
here=$(cd "$(dirname "$0")" && pwd)
out=$cache/kubernetes-$version
mkdir -p "$out" "$cache/src"

# Writes a module whose k8s.io/* staging dependencies are pinned to the release that matches k8s.io/kubernetes.
kubernetes_module() {
  dir=$cache/src/kubernetes-$version
  for program in kube-apiserver kubectl elector; do
    mkdir -p "$dir/$program"
    cp "$here/kubernetes/$program.go.txt" "$dir/$program/main.go"
  done
  cd "$dir"
  [ -f go.sum ] && return
  gomod=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  {
    echo 'module sidero.local/test-kubernetes'
    echo 'go 1.26.0'
    echo "require k8s.io/kubernetes v$version"
    sed -n 's/.*\(k8s\.io\/[a-z-]*\) => \.\/staging.*/\1/p' "$gomod" | sort -u |
      while read -r module; do echo "replace $module => $module v0.${version#1.}"; done
  } > go.mod
  GOFLAGS=-mod=mod go mod tidy
}

kubernetes_binary() {
  [ -x "$out/$1" ] && return
  kubernetes_module
  echo "building $1 $version" >&2
  GOFLAGS=-mod=mod CGO_ENABLED=0 go build -p 2 -trimpath -o "$out/$1.part" -ldflags "-s -w \
    -X k8s.io/component-base/version.gitVersion=v$version \
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35 \
    -X k8s.io/client-go/pkg/version.gitVersion=v$version" "./$1"
  mv "$out/$1.part" "$out/$1"
}

etcd_binary() {
  [ -x "$out/etcd" ] && return
  echo "building etcd $etcd" >&2
  dir=$cache/src/etcd-$etcd
  mkdir -p "$dir"
  cp "$here/etcd/etcd.go.txt" "$dir/main.go"
  cd "$dir"
  if [ ! -f go.sum ]; then
    printf 'module sidero.local/test-etcd\ngo 1.26.0\nrequire go.etcd.io/etcd/server/v3 v%s\n' "$etcd" > go.mod
    GOFLAGS=-mod=mod go mod tidy
  fi
  GOFLAGS=-mod=mod CGO_ENABLED=0 go build -p 2 -trimpath -ldflags '-s -w' -o "$out/etcd.part" .
  mv "$out/etcd.part" "$out/etcd"
}

etcd_binary
kubernetes_binary kubectl
kubernetes_binary elector
kubernetes_binary kube-apiserver
echo "$out"
