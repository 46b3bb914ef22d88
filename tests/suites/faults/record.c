/* A recorder of everything that a server does to its files: preloaded, it writes each operation into RECORD_LOG, in the order in which
 * they happened, so that the disk after a power cut at any moment can be made later (tests/examples/powercut).
 *
 * It catches system calls, not functions, because some libraries bypass libc: a seccomp filter turns each of them into a SIGSYS, unless its
 * sixth argument is COOKIE, as in the calls of this file. Only files under RECORD_DIR count. Several processes may share a log.
 *
 * An operation is in the log after it was done, the beginning of a sync before, and what is sent to a client before it is sent: so
 * what a sync covers was in the log before, and what was acknowledged follows everything that it rests on. Clients are those that
 * were once sent MARK, and only what is sent to them is recorded.
 *
 * SIGUSR2 is this server's kill -9: it comes between an operation with its record and the next one. A SIGKILL from outside could hit what was
 * done and not recorded.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#if !defined(__x86_64__)
#error "the recorder reads the registers of x86_64"
#endif

#define COOKIE 0x7265636f72646572ull
#define MARK "powercut:"
#define MAX_FDS 4096

enum kind { OPEN = 1, WRITE, ZEROS, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, MKDIR, SEND, CLOSE, UNKNOWN };

/* Little endian, then `length` bytes: content, or paths. `file` is an inode, of SEND and CLOSE a descriptor, of UNKNOWN a system call;
 * `flags` are those of OPEN. */
struct record {
    uint32_t kind, length, process, thread;
    uint64_t file, offset, size, flags;
};

enum { MAY_CREATE = 1, EMPTIES = 2, IS_DIR = 4 };

static int log_fd = -1;
static char root[4096];
static size_t root_length;
static char is_client[MAX_FDS];
/* Held shared from an operation to the end of its record. */
static pthread_rwlock_t gate;
static sem_t asked_to_die;

static long call(long number, long a, long b, long c, long d, long e)
{
    long result = syscall(number, a, b, c, d, e, COOKIE);
    return result == -1 ? -errno : result;
}

static void die(const char *why)
{
    call(SYS_write, 2, (long)why, (long)strlen(why), 0, 0);
    call(SYS_write, 2, (long)"\n", 1, 0, 0);
    abort();
}

static void note(struct record record, const void *bytes)
{
    struct iovec parts[] = { { &record, sizeof record }, { (void *)bytes, record.length } };
    record.process = (uint32_t)getpid();
    record.thread = (uint32_t)gettid();
    if (call(SYS_writev, log_fd, (long)parts, 2, 0, 0) != (long)(sizeof record + record.length))
        die("record: cannot write the log");
}

static int is_inside(const char *path)
{
    return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

/* The path behind a descriptor, with `name` behind it; 0 if that is not under the root. */
static int path_of(int fd, const char *name, char *path, size_t size)
{
    char link[64], base[4096] = "";
    if (name && name[0] == '/') {
        if (snprintf(path, size, "%s", name) >= (int)size)
            return 0;
    } else {
        if (fd == AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length <= 0)
            return 0;
        base[length] = 0;
        if (snprintf(path, size, "%s%s%s", base, name ? "/" : "", name ? name : "") >= (int)size)
            return 0;
    }
    return is_inside(path);
}

/* Whether it is a file or directory under the root; its inode. */
static int is_ours(int fd, struct stat *file)
{
    char path[4096];
    return fstat(fd, file) == 0 && (S_ISREG(file->st_mode) || S_ISDIR(file->st_mode)) && path_of(fd, NULL, path, sizeof path);
}

static long opened(long fd, long flags)
{
    char path[4096];
    struct stat file;
    if (fd < 0 || !path_of((int)fd, NULL, path, sizeof path) || fstat((int)fd, &file) != 0)
        return fd;
    struct record record = { .kind = OPEN, .length = (uint32_t)strlen(path), .file = file.st_ino,
                             .flags = ((flags & O_CREAT) ? MAY_CREATE : 0) | ((flags & O_TRUNC) ? EMPTIES : 0) |
                                      (S_ISDIR(file.st_mode) ? IS_DIR : 0) };
    note(record, path);
    return fd;
}

static void written(int fd, uint64_t offset, const char *bytes, size_t length)
{
    struct stat file;
    if (!is_ours(fd, &file))
        return;
    int is_zero = length > 64 && bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
    struct record record = { .kind = is_zero ? ZEROS : WRITE, .length = is_zero ? 0 : (uint32_t)length, .file = file.st_ino,
                             .offset = offset, .size = length };
    note(record, bytes);
}

static void sent(int fd, const char *bytes, size_t length)
{
    if (fd < 0 || fd >= MAX_FDS)
        return;
    if (memmem(bytes, length, MARK, strlen(MARK)))
        is_client[fd] = 1;
    if (is_client[fd])
        note((struct record){ .kind = SEND, .length = (uint32_t)length, .file = (uint64_t)fd }, bytes);
}

static long write_to(int fd, const char *bytes, size_t length)
{
    sent(fd, bytes, length);
    long done = call(SYS_write, fd, (long)bytes, (long)length, 0, 0);
    if (done > 0 && !(fd < MAX_FDS && is_client[fd])) {
        long end = call(SYS_lseek, fd, 0, SEEK_CUR, 0, 0);
        if (end >= done)
            written(fd, (uint64_t)(end - done), bytes, (size_t)done);
    }
    return done;
}

/* As if only the first part that is not empty had been given: whoever writes must expect that. */
static long write_parts(int fd, const struct iovec *parts, int count)
{
    for (int part = 0; part < count; part++)
        if (parts[part].iov_len > 0)
            return write_to(fd, parts[part].iov_base, parts[part].iov_len);
    return 0;
}

static long sync_file(long number, int fd)
{
    struct stat file;
    int ours = is_ours(fd, &file);
    struct record record = { .kind = SYNC_BEGIN, .file = ours ? file.st_ino : 0 };
    if (ours)
        note(record, NULL);
    long result = call(number, fd, 0, 0, 0, 0);
    if (ours && result == 0) {
        record.kind = SYNC_END;
        note(record, NULL);
    }
    return result;
}

static void named(enum kind kind, int fd, const char *name)
{
    char path[4096];
    if (path_of(fd, name, path, sizeof path))
        note((struct record){ .kind = kind, .length = (uint32_t)strlen(path) }, path);
}

static void renamed(int from_fd, const char *from, int to_fd, const char *to)
{
    char paths[8192];
    if (!path_of(from_fd, from, paths, 4096))
        return;
    size_t length = strlen(paths) + 1;
    if (!path_of(to_fd, to, paths + length, 4096))
        die("record: a file leaves the directory");
    length += strlen(paths + length);
    note((struct record){ .kind = RENAME, .length = (uint32_t)length }, paths);
}

static long other(long number, const greg_t *at)
{
    long result = call(number, at[REG_RDI], at[REG_RSI], at[REG_RDX], at[REG_R10], at[REG_R8]);
    if (result < 0)
        return result;
    switch (number) {
    case SYS_open: return opened(result, at[REG_RSI]);
    case SYS_openat: return opened(result, at[REG_RDX]);
    case SYS_pwrite64: written((int)at[REG_RDI], (uint64_t)at[REG_R10], (char *)at[REG_RSI], (size_t)result); break;
    case SYS_rename: renamed(AT_FDCWD, (char *)at[REG_RDI], AT_FDCWD, (char *)at[REG_RSI]); break;
    case SYS_renameat:
    case SYS_renameat2: renamed((int)at[REG_RDI], (char *)at[REG_RSI], (int)at[REG_RDX], (char *)at[REG_R10]); break;
    case SYS_unlink: named(UNLINK, AT_FDCWD, (char *)at[REG_RDI]); break;
    case SYS_rmdir: named(UNLINK, AT_FDCWD, (char *)at[REG_RDI]); break;
    case SYS_unlinkat: named(UNLINK, (int)at[REG_RDI], (char *)at[REG_RSI]); break;
    case SYS_mkdir: named(MKDIR, AT_FDCWD, (char *)at[REG_RDI]); break;
    case SYS_mkdirat: named(MKDIR, (int)at[REG_RDI], (char *)at[REG_RSI]); break;
    case SYS_ftruncate: {
        struct stat file;
        if (is_ours((int)at[REG_RDI], &file))
            note((struct record){ .kind = TRUNCATE, .file = file.st_ino, .size = (uint64_t)at[REG_RSI] }, NULL);
        break;
    }
    default: note((struct record){ .kind = UNKNOWN, .file = (uint64_t)number }, NULL);
    }
    return result;
}

static void caught(int signal, siginfo_t *info, void *context)
{
    greg_t *at = ((ucontext_t *)context)->uc_mcontext.gregs;
    int saved = errno;
    int fd = (int)at[REG_RDI];
    long result;
    (void)signal;
    pthread_rwlock_rdlock(&gate);
    switch (info->si_syscall) {
    case SYS_write: result = write_to(fd, (char *)at[REG_RSI], (size_t)at[REG_RDX]); break;
    case SYS_writev: result = write_parts(fd, (struct iovec *)at[REG_RSI], (int)at[REG_RDX]); break;
    case SYS_fsync:
    case SYS_fdatasync: result = sync_file(info->si_syscall, fd); break;
    case SYS_close:
        if (fd >= 0 && fd < MAX_FDS && is_client[fd]) {
            is_client[fd] = 0;
            note((struct record){ .kind = CLOSE, .file = (uint64_t)fd }, NULL);
        }
        result = call(SYS_close, fd, 0, 0, 0, 0);
        break;
    default: result = other(info->si_syscall, at);
    }
    pthread_rwlock_unlock(&gate);
    at[REG_RAX] = result;
    errno = saved;
}

static void told_to_die(int signal)
{
    (void)signal;
    sem_post(&asked_to_die);
}

static void *wait_for_death(void *nothing)
{
    while (sem_wait(&asked_to_die) != 0)
        ;
    pthread_rwlock_wrlock(&gate);
    kill(getpid(), SIGKILL);
    return nothing;
}

static void prepare_death(void)
{
    pthread_t thread;
    pthread_rwlockattr_t fair;
    struct sigaction action = { .sa_handler = told_to_die, .sa_flags = SA_RESTART };
    if (sem_init(&asked_to_die, 0, 0) != 0 || pthread_rwlockattr_init(&fair) != 0 ||
        pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) != 0 ||
        pthread_rwlock_init(&gate, &fair) != 0 || pthread_create(&thread, NULL, wait_for_death, NULL) != 0 ||
        sigaction(SIGUSR2, &action, NULL) != 0)
        die("record: cannot prepare for death");
}

/* Sockets use all six arguments of sendto: with the last one, the length of an address, it is never given one here. */
static long send_to(int fd, const char *bytes, size_t length, int flags)
{
    sent(fd, bytes, length);
    return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    return send_to(fd, bytes, length, flags);
}

__attribute__((constructor)) static void start(void)
{
    static const int calls[] = {
        SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_pwritev2, SYS_open, SYS_openat, SYS_creat, SYS_close, SYS_fsync,
        SYS_fdatasync, SYS_sync_file_range, SYS_ftruncate, SYS_truncate, SYS_fallocate, SYS_rename, SYS_renameat, SYS_renameat2,
        SYS_link, SYS_linkat, SYS_symlink, SYS_unlink, SYS_unlinkat, SYS_rmdir, SYS_mkdir, SYS_mkdirat, SYS_msync,
        SYS_copy_file_range, SYS_sendfile, SYS_openat2,
    };
    enum { COUNT = sizeof calls / sizeof *calls };
    struct sock_filter filter[COUNT + 8];
    int at = 0;
    const char *dir = getenv("RECORD_DIR"), *path = getenv("RECORD_LOG");
    if (!dir || !path || !realpath(dir, root))
        die("record: RECORD_DIR and RECORD_LOG are needed");
    root_length = strlen(root);
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        die("record: cannot open RECORD_LOG");

    prepare_death();

    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]));
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)COOKIE, 0, 2);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]) + 4);
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(COOKIE >> 32), COUNT + 1, 0);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int each = 0; each < COUNT; each++)
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[each], COUNT - each, 0);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);

    struct sock_fprog program = { (unsigned short)at, filter };
    struct sigaction action = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART };
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        die("record: system calls cannot be caught");
}
