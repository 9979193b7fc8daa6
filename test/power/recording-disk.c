/*
 * A disk that writes down all that is done to it: a FUSE file system with the one file "disk", for a loop device to stand on.
 *
 *   recording-disk MOUNTPOINT IMAGE JOURNAL
 *
 * IMAGE holds the disk's bytes and gives its size; JOURNAL is made anew. Prints "ready" when it is mounted, ends when it is unmounted. It
 * speaks to /dev/fuse itself, as the addon does: libfuse would be one more package for a dozen requests.
 *
 * JOURNAL is a row of records without gaps, each of three u64 in the machine's order, then bytes:
 *   kind    1 write, 2 zero (punched or zeroed), 3 flush
 *   offset  where on the disk; for a flush: the journal's length when it was asked for, which is how far it reaches
 *   length  how much; 0 for a flush
 *   bytes   `length` of them for a write, none otherwise
 *
 * 1. Requests are served one after the other, and a record is in the journal before its request is answered: whatever a caller knows to be
 *    done stands before the size that the journal then has.
 * 2. A flush takes some milliseconds, as on a disk: other requests are served meanwhile, which it does not reach. It reaches every write
 *    that was answered before it was asked for.
 * 3. What it cannot record it does not answer: it ends, and the disk is gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { KIND_WRITE = 1, KIND_ZERO = 2, KIND_FLUSH = 3 };
enum { NODE_ROOT = 1, NODE_DISK = 2 };
enum { MOST_BYTES = 1 << 20, REQUEST_BYTES = MOST_BYTES + (1 << 16), FOREVER_SECONDS = 86400 };

enum { FLUSH_NANOSECONDS = 2000000, MOST_FLUSHES = 64 };

/* Asked for and not yet answered, oldest first. */
struct flush {
  uint64_t unique, reaches, due;
};

static int device, image, journal;
static uint64_t disk_bytes, journal_bytes;
static struct flush flushes[MOST_FLUSHES];
static size_t flush_count;
static char request[REQUEST_BYTES] __attribute__((aligned(8))), bytes[MOST_BYTES];

static void give_up(const char *what) {
  perror(what);
  exit(1);
}

static void answer(uint64_t unique, int error, const void *body, size_t length) {
  struct fuse_out_header head = {.len = (uint32_t)(sizeof head + length), .error = -error, .unique = unique};
  const struct iovec parts[] = {{&head, sizeof head}, {(void *)body, length}};
  /* ENOENT: whoever asked does not wait any more. */
  if (writev(device, parts, 2) < 0 && errno != ENOENT && errno != ENODEV) give_up("answer");
}

static void record(uint64_t kind, uint64_t offset, uint64_t length, const void *data) {
  const uint64_t head[] = {kind, offset, length};
  const size_t data_bytes = kind == KIND_WRITE ? length : 0;
  const struct iovec parts[] = {{(void *)head, sizeof head}, {(void *)data, data_bytes}};
  if (writev(journal, parts, 2) != (ssize_t)(sizeof head + data_bytes)) give_up("journal");
  journal_bytes += sizeof head + data_bytes;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void begin_flush(uint64_t unique) {
  if (flush_count == MOST_FLUSHES) return answer(unique, EIO, NULL, 0);
  flushes[flush_count++] = (struct flush){unique, journal_bytes, now() + FLUSH_NANOSECONDS};
}

/* Ends the flushes that have taken long enough. */
static void end_flushes(void) {
  while (flush_count > 0 && flushes[0].due <= now()) {
    record(KIND_FLUSH, flushes[0].reaches, 0, NULL);
    answer(flushes[0].unique, 0, NULL, 0);
    memmove(flushes, flushes + 1, --flush_count * sizeof flushes[0]);
  }
}

/* Waits for a request; false when a flush was due first. */
static int await_request(void) {
  struct pollfd wanted = {.fd = device, .events = POLLIN};
  struct timespec wait = {0};
  if (flush_count > 0) {
    const uint64_t time = now();
    wait.tv_nsec = flushes[0].due > time ? (long)(flushes[0].due - time) : 0;
  }
  /* An error is told by read. */
  return ppoll(&wanted, 1, flush_count > 0 ? &wait : NULL, NULL) != 0;
}

static struct fuse_attr attributes(uint64_t node) {
  const int is_disk = node == NODE_DISK;
  return (struct fuse_attr){
      .ino = node, .size = is_disk ? disk_bytes : 0, .blocks = is_disk ? disk_bytes / 512 : 0, .mode = is_disk ? S_IFREG | 0600 : S_IFDIR | 0700, .nlink = 1, .blksize = 4096};
}

static void serve_init(const struct fuse_in_header *head, const struct fuse_init_in *in) {
  struct fuse_init_out out = {.major = 7, .max_readahead = in->max_readahead, .max_background = 64, .congestion_threshold = 48, .max_write = MOST_BYTES, .time_gran = 1};
  out.minor = in->minor < FUSE_KERNEL_MINOR_VERSION ? in->minor : FUSE_KERNEL_MINOR_VERSION;
  out.flags = in->flags & (FUSE_BIG_WRITES | FUSE_ASYNC_READ | FUSE_ASYNC_DIO | FUSE_MAX_PAGES);
  out.max_pages = MOST_BYTES / 4096;
  answer(head->unique, 0, &out, sizeof out);
}

static void serve_lookup(const struct fuse_in_header *head, const char *name) {
  struct fuse_entry_out out = {.nodeid = NODE_DISK, .entry_valid = FOREVER_SECONDS, .attr_valid = FOREVER_SECONDS, .attr = attributes(NODE_DISK)};
  if (head->nodeid == NODE_ROOT && strcmp(name, "disk") == 0) answer(head->unique, 0, &out, sizeof out);
  else answer(head->unique, ENOENT, NULL, 0);
}

static void serve_read(const struct fuse_in_header *head, const struct fuse_read_in *in) {
  const size_t wanted = in->size < MOST_BYTES ? in->size : MOST_BYTES;
  const ssize_t count = pread(image, bytes, wanted, (off_t)in->offset);
  if (count < 0) answer(head->unique, errno, NULL, 0);
  else answer(head->unique, 0, bytes, (size_t)count);
}

static void serve_write(const struct fuse_in_header *head, const struct fuse_write_in *in) {
  const char *data = (const char *)(in + 1);
  const struct fuse_write_out out = {.size = in->size};
  if (in->offset + in->size > disk_bytes) return answer(head->unique, ENOSPC, NULL, 0);
  if (pwrite(image, data, in->size, (off_t)in->offset) != (ssize_t)in->size) give_up("image");
  record(KIND_WRITE, in->offset, in->size, data);
  answer(head->unique, 0, &out, sizeof out);
}

static void serve_fallocate(const struct fuse_in_header *head, const struct fuse_fallocate_in *in) {
  const uint32_t zeroing = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
  if ((in->mode & zeroing) == 0 || in->offset + in->length > disk_bytes) return answer(head->unique, EOPNOTSUPP, NULL, 0);
  /* A hole in the image reads as zeros, whichever of the two was asked for. */
  if (fallocate(image, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)in->offset, (off_t)in->length) != 0) give_up("image");
  record(KIND_ZERO, in->offset, in->length, NULL);
  answer(head->unique, 0, NULL, 0);
}

static void serve(const struct fuse_in_header *head, const void *body) {
  const struct fuse_attr_out attr = {.attr_valid = FOREVER_SECONDS, .attr = attributes(head->nodeid)};
  /* Past the page cache of this mount, which would keep writes from the recorder until somebody syncs. */
  const struct fuse_open_out open = {.open_flags = head->nodeid == NODE_DISK ? FOPEN_DIRECT_IO : 0};
  const struct fuse_statfs_out statfs = {.st = {.bsize = 4096, .frsize = 4096, .namelen = 255}};
  switch (head->opcode) {
    case FUSE_INIT: return serve_init(head, body);
    case FUSE_LOOKUP: return serve_lookup(head, body);
    case FUSE_GETATTR:
    case FUSE_SETATTR: return answer(head->unique, 0, &attr, sizeof attr);
    case FUSE_OPEN:
    case FUSE_OPENDIR: return answer(head->unique, 0, &open, sizeof open);
    case FUSE_READ: return serve_read(head, body);
    case FUSE_WRITE: return serve_write(head, body);
    case FUSE_FALLOCATE: return serve_fallocate(head, body);
    case FUSE_FSYNC: return begin_flush(head->unique);
    case FUSE_STATFS: return answer(head->unique, 0, &statfs, sizeof statfs);
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_DESTROY: return answer(head->unique, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return;
    default: return answer(head->unique, ENOSYS, NULL, 0);
  }
}

static void mount_at(const char *mountpoint) {
  char options[128];
  device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) give_up("/dev/fuse");
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,max_read=%d", device, MOST_BYTES);
  if (mount("recording-disk", mountpoint, "fuse.recording-disk", MS_NOSUID | MS_NODEV, options) != 0) give_up(mountpoint);
}

int main(int count, char **arguments) {
  struct stat status;
  if (count != 4) return 2;
  image = open(arguments[2], O_RDWR | O_CLOEXEC);
  journal = open(arguments[3], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (image < 0 || journal < 0 || fstat(image, &status) != 0) give_up("image or journal");
  disk_bytes = (uint64_t)status.st_size;
  mount_at(arguments[1]);
  puts("ready");
  fflush(stdout);
  for (;;) {
    end_flushes();
    if (!await_request()) continue;
    const ssize_t length = read(device, request, sizeof request);
    if (length >= (ssize_t)sizeof(struct fuse_in_header)) serve((struct fuse_in_header *)request, request + sizeof(struct fuse_in_header));
    else if (length >= 0 || errno == ENODEV) return 0;
    else if (errno != EINTR && errno != EAGAIN && errno != ENOENT) give_up("request");
  }
}
