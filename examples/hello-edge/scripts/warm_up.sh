#!/bin/bash -e
for ((second = 1; second <= ${seconds:-0}; second++)); do
  sleep 1
  ctx logger info "Warming up, $second of $seconds s"
done
