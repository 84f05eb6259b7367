// http-origin PORT SIZE: an HTTP/1.1 server on 127.0.0.1 that answers each request without a body with SIZE bytes, and never closes a
// connection itself. What stands behind the proxies, so it is on the generator's CPU. Dies with its parent.
#include "common.h"
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum { MOST = 1 << 16, CHUNK = 1 << 16 };
static char request[CHUNK], *answer;
static long length;
// Of each connection: how much of "\r\n\r\n" the last bytes were, requests to answer, and bytes sent of the current answer.
static struct {
  int matched, asked;
  long sent;
} all[MOST];

static void watch(int events, int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
  if (fd >= MOST || epoll_ctl(events, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
  memset(&all[fd], 0, sizeof all[fd]);
}

static void count_ends(int fd, int bytes) {
  for (int i = 0; i < bytes; i++) {
    int matched = all[fd].matched;
    if (request[i] == "\r\n\r\n"[matched]) matched++;
    else matched = request[i] == '\r';
    if (matched == 4) all[fd].asked++, matched = 0;
    all[fd].matched = matched;
  }
}

// Returns 0 when the socket takes no more.
static int answers(int fd) {
  while (all[fd].asked) {
    long out = send(fd, answer + all[fd].sent, length - all[fd].sent, MSG_NOSIGNAL);
    if (out < 0) return 0;
    if ((all[fd].sent += out) == length) all[fd].sent = 0, all[fd].asked--;
  }
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: http-origin PORT SIZE\n"), 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  stay_aside();
  long size = atol(argv[2]);
  if (!(answer = malloc(size + 100))) die("malloc");
  length = sprintf(answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %ld\r\n\r\n", size);
  memset(answer + length, 'x', size);
  length += size;
  int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1, events = epoll_create1(0);
  struct sockaddr_in a = address("127.0.0.1", argv[1]);
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) die("listen");
  watch(events, l);
  for (;;) {
    struct epoll_event ready[256];
    int n = epoll_wait(events, ready, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = ready[i].data.fd, c;
      if (fd == l) {
        while ((c = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0) watch(events, c);
        continue;
      }
      while (answers(fd)) {
        int got = recv(fd, request, CHUNK, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) close(fd);
        if (got <= 0) break;
        count_ends(fd, got);
        // A short read leaves nothing: epoll(7), questions and answers, 9.
        if (got < CHUNK && answers(fd)) break;
      }
    }
  }
}
