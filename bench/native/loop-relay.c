// loop-relay IN_PORT OUT_PORT: the least work that a relay can ask of the kernel.
#include "common.h"

static struct batch b;
static _Alignas(struct cmsghdr) char control[BATCH][64];

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  struct sockaddr_in to = address("127.0.0.1", argv[2]);
  int in = receiver(address("127.0.0.1", argv[1]), USUAL), out = sender();
  for (;;) {
    int n = take(in, &b);
    for (int i = 0; i < n; i++) {
      int length = b.head[i].msg_len, each = segment(&b.head[i]);
      struct msghdr *h = &b.head[i].msg_hdr;
      b.part[i].iov_len = length;
      *h = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &b.part[i], .msg_iovlen = 1};
      if (each < length) cut(h, control[i], each);
    }
    for (int done = 0; done < n;) {
      int sent = sendmmsg(out, b.head + done, n - done, 0);
      done += sent < 0 ? 1 : sent;
    }
  }
}
