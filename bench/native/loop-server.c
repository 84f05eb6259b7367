// loop-server PORT FILE: the least work that a logger can ask of the kernel.
#include "common.h"
#include <fcntl.h>

static struct batch b;

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int in = receiver(address("127.0.0.1", argv[1]), USUAL), file = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file < 0) die(argv[2]);
  for (;;) {
    int n = take(in, &b);
    for (int i = 0; i < n; i++) b.part[i].iov_len = b.head[i].msg_len;
    if (n > 0 && writev(file, b.part, n) < 0) die("writev");
  }
}
