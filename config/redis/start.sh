#!/bin/sh
# Starts Redis with the password of the file $1, which thereby stands in no command line and in no environment.
set -eu
umask 077
{
  cat /etc/rlswarm/redis.conf
  printf 'maxmemory %s\nrequirepass %s\n' "$REDIS_MAXMEMORY" "$(cat "$1")"
} > /tmp/redis.conf
exec redis-server /tmp/redis.conf
