// loop-fanout GROUP PORT TCP_PORT CLIENTS: the least work that a fan-out can ask of the kernel: blocking writes, a batch at once.
#include "common.h"

enum { MOST = 1000 };
static struct batch b;

static void write_all(int fd, struct iovec *part, int n) {
  while (n > 0) {
    ssize_t done = writev(fd, part, n);
    if (done < 0) return;
    for (; n > 0 && (size_t)done >= part->iov_len; part++, n--) done -= part->iov_len;
    if (n > 0) part->iov_base = (char *)part->iov_base + done, part->iov_len -= done;
  }
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  struct sockaddr_in at = address("127.0.0.1", argv[3]);
  int in = receiver(address(argv[1], argv[2]), USUAL), door = socket(AF_INET, SOCK_STREAM, 0), count = atoi(argv[4]), one = 1;
  int client[MOST];
  if (count > MOST) return 2;
  setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(door, (void *)&at, sizeof at) || listen(door, MOST)) die("listen");
  for (int i = 0; i < count; i++) client[i] = accept(door, 0, 0);
  for (;;) {
    int n = take(in, &b);
    for (int i = 0; i < count; i++) {
      struct iovec part[BATCH];
      for (int j = 0; j < n; j++) part[j] = (struct iovec){b.data[j], b.head[j].msg_len};
      write_all(client[i], part, n);
    }
  }
}
