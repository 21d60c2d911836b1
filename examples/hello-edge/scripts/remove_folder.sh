#!/bin/bash -e
path=$(ctx instance runtime-properties path)
case "$path" in
  /tmp/hello-edge-*) rm -rf -- "$path" ;;
esac
ctx logger info "Removed $path"
