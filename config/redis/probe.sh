#!/bin/sh
# Healthy: Redis answers to the password of the file $1, and its last write reached the disk.
REDISCLI_AUTH=$(cat "$1") redis-cli --raw info persistence | grep -q '^aof_last_write_status:ok'
