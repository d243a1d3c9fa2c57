/* SPDX-License-Identifier: MIT */
/* -daemonize and -pidfile. */
#pragma once

#include <stdbool.h>

#include "util/error.h"

/* Forks.  The parent waits until the child calls daemon_ready and exits with its status; the child
 * goes on with *ready_fd.  Before any thread is made. */
bool daemon_fork(int *ready_fd, Error *err);
/* The child is set up: the parent may exit; standard input and output (and error) let go of the
 * terminal. */
bool daemon_ready(int ready_fd, Error *err);

/* Writes the process id to path and keeps it locked, so that a second process is refused. */
bool pidfile_create(const char *path, Error *err);
