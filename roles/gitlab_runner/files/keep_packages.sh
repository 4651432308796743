# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh disable=SC2154 # its variables are the task's environment
# Makes the Debian packages $packages anew of what is installed of them, into $directory. They are complete there once the
# file `version` is: the directory gets its name last. What somebody has changed in them is kept as well, because it is what
# has worked.
set -eu
parent=$(dirname "$directory")
mkdir -p "$parent"
exec 9<"$parent"
flock 9 # a play that was killed may have left this running
test ! -e "$directory/version" || exit 0
new=$directory.new
rm -rf "$new" "$directory"
trap 'rm -rf "$new"' EXIT
mkdir -m 0700 "$new"
tree=$new/tree

# Fields of dpkg's database that no package has.
control() {
  dpkg-query --status "$1" | awk '/^[^ ]/ { ours = /^(Status|Conffiles|Config-Version):/ } !ours'
}

# As hard links where that is possible. The list has directories before what is in them.
files() {
  dpkg-query --listfiles "$1" | while IFS= read -r path; do
    if [ -d "$path" ]; then
      mkdir -p "$tree$path"
      chown --reference "$path" "$tree$path"
      chmod --reference "$path" "$tree$path"
    elif [ -e "$path" ] || [ -L "$path" ]; then
      cp --archive --link "$path" "$tree$path" 2>/dev/null || cp --archive "$path" "$tree$path"
    fi
  done
}

for package in $packages; do
  mkdir -m 0755 "$tree" "$tree/DEBIAN"
  control "$package" >"$tree/DEBIAN/control"
  dpkg-query --control-list "$package" | while IFS= read -r name; do
    cp "$(dpkg-query --control-path "$package" "$name")" "$tree/DEBIAN/$name"
    chmod --reference "$(dpkg-query --control-path "$package" "$name")" "$tree/DEBIAN/$name"
  done
  files "$package"
  dpkg-deb -Znone --build "$tree" "$new/$package.deb" >/dev/null
  rm -r "$tree"
done
dpkg-query --show --showformat='${Version}\n' gitlab-runner >"$new/version"
sync
mv "$new" "$directory"
