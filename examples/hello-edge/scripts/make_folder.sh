#!/bin/bash -e
# A folder of its own that outlives this script, and that others may read.
path=$(mktemp -d /tmp/hello-edge-XXXXXXXX)
chmod 755 "$path"
ctx instance runtime-properties path "$path"
ctx logger info "The page will be in $path"
