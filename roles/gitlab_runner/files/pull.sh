# SPDX-License-Identifier: GPL-3.0-or-later
# Pulls $image, and prints the IDs of what the engine has: present (of $image before), wanted (of $image now), running
# (of the container that $filter finds), previous (of $previous_image, which an upgrade that died has left behind).
id_of() {
  docker image inspect --format '{{.Id}}' "$1" 2>/dev/null
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
# A container's tag stays on what it runs until its turn comes. A service asks the registry by itself.
if [ "$deployment" != service ] && [ -n "$present" ] && [ "$present" != "$wanted" ]; then
  docker tag "$present" "$image" || exit 1
fi
container=$(docker ps --all --quiet --last 1 --filter "$filter")
if [ -n "$container" ]; then
  docker inspect --format 'running={{.Image}}
name={{.Config.Image}}' "$container" || exit 1
fi
echo "present=$present"
echo "wanted=$wanted"
echo "previous=$(id_of "$previous_image")"
echo "error=$error"
