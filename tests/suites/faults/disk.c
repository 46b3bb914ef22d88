/* A disk that obeys: preloaded into a server, it looks into the directory DISK_FAULTS before everything that is made durable.
 *
 *   stall   while this file is there, it waits
 *   slow    it takes 150 ms longer
 *   fail    it fails with EIO
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int asked_for(const char *fault)
{
    char path[4096];
    const char *dir = getenv("DISK_FAULTS");
    if (!dir || snprintf(path, sizeof path, "%s/%s", dir, fault) >= (int)sizeof path)
        return 0;
    return access(path, F_OK) == 0;
}

static int obey(void)
{
    while (asked_for("stall"))
        usleep(2000);
    if (asked_for("slow"))
        usleep(150000);
    if (asked_for("fail")) {
        errno = EIO;
        return -1;
    }
    return 0;
}

int fsync(int fd)
{
    return obey() ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return obey() ? -1 : (int)syscall(SYS_fdatasync, fd);
}
