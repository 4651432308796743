# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC2154 # its variables are the task's environment
# Updates the image of the service $service to $image, one node at a time, and waits until the swarm is done. Fails with
# what the swarm says when a task does not keep running.
docker service update --detach --quiet --no-resolve-image --image "$image" --update-parallelism 1 \
  --update-order stop-first --update-failure-action pause --update-monitor 30s --update-delay 10s "$service" >/dev/null ||
  exit 1
# The swarm takes a moment to begin. Where no task differs it never does.
sleep 10
while true; do
  state=$(docker service inspect --format '{{with .UpdateStatus}}{{.State}}: {{.Message}}{{end}}' "$service") || exit 1
  case $state in
    updating* | rollback_started*) sleep 2 ;;
    paused* | rollback*)
      echo "$state" >&2
      docker service ps --no-trunc --filter desired-state=shutdown --format '{{.Node}} {{.Error}}' "$service" |
        grep ' .' | head -n 1 >&2
      exit 1
      ;;
    *) exit 0 ;;
  esac
done
