# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC2154 # its variables are the task's environment
# Pulls $image, and prints what the engine has: the IDs present (of $image before), wanted (of $image now), running (of the
# container that $filter finds) and previous (of $previous_image, which an upgrade that died has left behind), and the
# names of the wanted and the running image with their digests.
id_of() {
  docker image inspect --format '{{.Id}}' "$1" 2>/dev/null
}

# The name $1 with the digest under which the image $2 was pulled; the name alone if it was made on this host.
pinned() {
  repository=${1%@*}
  case ${repository##*/} in *:*) repository=${repository%:*} ;; esac
  digest=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$2" | grep -F "$repository@" | tail -n 1)
  echo "${1%@*}${digest:+@${digest#*@}}"
}

error=
present=$(id_of "$image")
case $image in
  *@*) known=$present ;; # a digest names one image for ever
  *) known= ;;
esac
if [ -z "$known" ]; then
  error=$(docker pull --quiet "$image" 2>&1 >/dev/null | tr '\n' ' ')
fi
wanted=$(id_of "$image")
echo "present=$present"
echo "wanted=$wanted"
echo "previous=$(id_of "$previous_image")"
echo "error=$error"
if [ -n "$wanted" ]; then
  echo "wanted_name=$(pinned "$image" "$wanted")"
fi
container=$(docker ps --all --quiet --last 1 --filter "$filter")
if [ -n "$container" ]; then
  running=$(docker inspect --format '{{.Image}}' "$container") || exit 1
  name=$(docker inspect --format '{{.Config.Image}}' "$container") || exit 1
  echo "running=$running"
  echo "name=$name"
  echo "running_name=$(pinned "$name" "$running")"
fi
# A container's tag stays on what it runs until its turn comes. A service asks the registry by itself.
if [ "$deployment" != service ] && [ -n "$present" ] && [ "$present" != "$wanted" ]; then
  docker tag "$present" "$image" || exit 1
fi
