# SPDX-License-Identifier: GPL-3.0-or-later
ARG BASE
FROM $BASE
COPY root/ /
RUN ["/usr/bin/busybox", "sh", "-c", "\
  busybox --install -s /usr/bin 2>/dev/null; \
  (cd /usr/share/ca-certificates && find . -name '*.crt' | sed 's|^./||' >/etc/ca-certificates.conf); \
  mkdir -p /usr/local/share/ca-certificates /tmp && chmod 1777 /tmp && update-ca-certificates >/dev/null"]
ENTRYPOINT ["/entrypoint"]
CMD ["sh"]
