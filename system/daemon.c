/* SPDX-License-Identifier: MIT */
/* Going to the background, and the file that tells who is there. */
#include "system/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

/* The parent: exits with 0 when the child says so, with the child's status where it dies first. */
static void daemon_parent(int fd, pid_t child)
{
    char byte;
    ssize_t n;
    int status;

    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    if (n == 1) _exit(0);
    if (waitpid(child, &status, 0) == child && WIFEXITED(status)) _exit(WEXITSTATUS(status));
    _exit(1);
}

bool daemon_fork(int *ready_fd, Error *err)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0) return error_errno(err, errno, "pipe");
    pid_t child = fork();
    if (child < 0) return error_errno(err, errno, "fork");
    if (child) {
        close(fds[1]);
        daemon_parent(fds[0], child);
    }
    close(fds[0]);
    *ready_fd = fds[1];
    setsid();
    return true;
}

bool daemon_ready(int ready_fd, Error *err)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0) return error_errno(err, errno, "/dev/null");
    if (chdir("/") < 0) return error_errno(err, errno, "/");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) dup2(null, fd);
    close(null);
    if (write(ready_fd, "", 1) != 1) return error_errno(err, errno, "telling the parent");
    close(ready_fd);
    return true;
}

bool pidfile_create(const char *path, Error *err)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char text[32];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0) return error_errno(err, errno, "cannot create PID file");
    if (fcntl(fd, F_SETLK, &whole) < 0) {
        close(fd);
        return error_set(err, "cannot lock PID file: another process has it");
    }
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)n) != n) {
        close(fd);
        return error_errno(err, errno, "cannot write PID file");
    }
    return true; /* the descriptor stays open: closing it would give up the lock */
}
