// echo-load SERVER PROXY CONNECTIONS SIZE SECONDS: echoes on TCP 127.0.0.1:SERVER in a process of its own, and connects CONNECTIONS times
// to 127.0.0.1:PROXY, which passes on to it. Says so; then each connection sends messages of SIZE bytes, the next one when the last one
// is back. Tells the bytes and messages that came back. With SIZE 0 it only waits.
#include "common.h"
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

enum { MOST = 1 << 16, CHUNK = 1 << 18 };
static char data[CHUNK];
static long sent[MOST], back[MOST];

static void watch(int events, int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
  if (fd >= MOST || epoll_ctl(events, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
}

// Echoes what fits: the rest waits in the kernel, and what was received of it here.
static void echo(int port) {
  static struct {
    char *at;
    int length, done;
  } held[MOST];
  int l = socket(AF_INET, SOCK_STREAM, 0), on = 1, events = epoll_create1(0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(l, (void *)&a, sizeof a) || listen(l, 4096)) die("listen");
  watch(events, l);
  for (;;) {
    struct epoll_event ready[256];
    int n = epoll_wait(events, ready, 256, -1);
    for (int i = 0; i < n; i++) {
      int fd = ready[i].data.fd, c;
      while (fd == l && (c = accept(l, 0, 0)) >= 0) watch(events, c);
      while (fd != l) {
        if (!held[fd].length) {
          int got = recv(fd, data, CHUNK, 0);
          if (got == 0) close(fd);
          if (got <= 0) break;
          int out = send(fd, data, got, MSG_NOSIGNAL);
          if (out < 0) out = 0;
          if (out == got) continue;
          if (!held[fd].at && !(held[fd].at = malloc(CHUNK))) die("malloc");
          memcpy(held[fd].at, data + out, held[fd].length = got - out);
          held[fd].done = 0;
        }
        int out = send(fd, held[fd].at + held[fd].done, held[fd].length - held[fd].done, MSG_NOSIGNAL);
        if (out < 0) break;
        if ((held[fd].done += out) == held[fd].length) held[fd].length = 0;
      }
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: echo-load SERVER PROXY CONNECTIONS SIZE SECONDS\n"), 2;
  pid_t server = fork();
  if (server == 0) prctl(PR_SET_PDEATHSIG, SIGKILL), echo(atoi(argv[1]));
  usleep(100000);
  struct sockaddr_in to = address("127.0.0.1", argv[2]);
  int count = atoi(argv[3]), events = epoll_create1(0);
  long size = atol(argv[4]), bytes = 0, messages = 0;
  for (int i = 0; i < count; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (void *)&to, sizeof to)) die("connect");
    watch(events, fd);
  }
  printf("connected\n");
  fflush(stdout);
  for (double end = now() + atof(argv[5]); now() < end;) {
    struct epoll_event ready[256];
    int n = epoll_wait(events, ready, 256, 10);
    for (int i = 0; i < n; i++) {
      int fd = ready[i].data.fd;
      for (int moved = 1; moved && size;) {
        moved = 0;
        long left = size - sent[fd], out = left ? send(fd, data, left < CHUNK ? left : CHUNK, MSG_NOSIGNAL) : 0;
        if (out > 0) sent[fd] += out, moved = 1;
        long got = recv(fd, data, CHUNK, 0);
        if (got == 0) return fprintf(stderr, "the proxy closed a connection\n"), 1;
        if (got > 0) back[fd] += got, bytes += got, moved = 1;
        if (back[fd] == size) sent[fd] = back[fd] = 0, messages++;
      }
    }
  }
  kill(server, SIGKILL);
  printf("{\"bytes\":%ld,\"messages\":%ld}\n", bytes, messages);
  return 0;
}
