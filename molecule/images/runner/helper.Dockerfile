# SPDX-License-Identifier: GPL-3.0-or-later
ARG BASE
FROM $BASE
COPY root/ /
RUN ["/usr/bin/busybox", "sh", "-c", "busybox --install -s /usr/bin 2>/dev/null; mkdir -p /tmp && chmod 1777 /tmp"]
CMD ["sh"]
