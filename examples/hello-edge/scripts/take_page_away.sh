#!/bin/bash -e
rm -f -- "$page"
ctx logger info "Removed $page"
