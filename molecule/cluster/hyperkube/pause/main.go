// SPDX-License-Identifier: GPL-3.0-or-later

// Command pause holds the namespaces of a pod: the containers of the pod come and go, it stays until it is told to end. As the
// first process of a pod whose containers share one PID namespace it also reaps what they leave.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ended := make(chan os.Signal, 1)
	orphans := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	signal.Notify(orphans, syscall.SIGCHLD)
	for {
		select {
		case <-ended:
			return
		case <-orphans:
			reap()
		}
	}
}

// reap waits for every child that has ended; several of them may share one signal.
func reap() {
	for {
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
			return
		}
	}
}
